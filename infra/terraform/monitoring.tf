# What is watched: monitoring/*.json, made into resources. monitoring/README.md tells how those files are written.
#
# Metric descriptors, alerts and the dashboard are for all systems of the project (var.watched_systems); objectives are
# for each system by itself.

locals {
  watched_systems = var.watched_systems == null ? toset([var.system]) : var.watched_systems
  watches         = length(local.watched_systems) > 0

  one_of_watched = "(${join("|", sort(local.watched_systems))})"
  placeholders = {
    operations_url            = var.operations_url
    push_subscriptions        = "${local.one_of_watched}-push"
    dead_letter_subscriptions = "${local.one_of_watched}-dead-letters"
    services                  = "${local.one_of_watched}(-ingest)?"
    query_bytes_per_hour      = var.query_bytes_per_hour
  }

  metrics = { for metric in jsondecode(file("${path.module}/monitoring/metrics.json")) : metric.name => metric if local.watches }
  alerts  = { for alert in jsondecode(templatefile("${path.module}/monitoring/alerts.json", local.placeholders)) : alert.name => alert if local.watches }
  slos = { for slo in jsondecode(templatefile("${path.module}/monitoring/slos.json", {
    system       = var.system
    service_name = google_cloud_run_v2_service.main["main"].name
  })) : slo.name => slo }

  metric_kinds       = { counter = "CUMULATIVE", histogram = "CUMULATIVE", gauge = "GAUGE" }
  metric_value_types = { int = "INT64", double = "DOUBLE", distribution = "DISTRIBUTION" }
}

# The service writes them as it runs. But an alert on a metric that was never written cannot be made, so they come first.
resource "google_monitoring_metric_descriptor" "service" {
  for_each = local.metrics

  type         = "workload.googleapis.com/${each.key}"
  display_name = each.key
  description  = each.value.description
  metric_kind  = local.metric_kinds[each.value.kind]
  value_type   = local.metric_value_types[each.value.value]
  unit         = each.value.unit

  dynamic "labels" {
    for_each = each.value.attributes
    content {
      key        = replace(labels.value, "/[^A-Za-z0-9_]/", "_") # as the exporter writes them
      value_type = "STRING"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_alert_policy" "main" {
  for_each = local.alerts

  display_name          = "Sluice: ${each.value.display_name}"
  combiner              = "OR"
  severity              = each.value.severity
  user_labels           = each.value.user_labels
  notification_channels = local.channels

  enabled = !contains(local.silent_alerts, each.key)

  conditions {
    display_name = each.value.display_name
    condition_prometheus_query_language {
      query               = join("\n", each.value.query)
      duration            = each.value.duration
      evaluation_interval = each.value.evaluation_interval

      # A project that is new has written none of the metrics of Pub/Sub and Cloud Run yet.
      disable_metric_validation = true
    }
  }

  documentation {
    subject   = each.value.documentation.subject
    content   = each.value.documentation.content
    mime_type = "text/markdown"

    dynamic "links" {
      for_each = each.value.documentation.links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_monitoring_metric_descriptor.service]
}

resource "google_monitoring_dashboard" "main" {
  count = local.watches ? 1 : 0

  dashboard_json = jsonencode(jsondecode(templatefile("${path.module}/monitoring/dashboard.json", local.placeholders)))

  depends_on = [google_monitoring_metric_descriptor.service]
}
