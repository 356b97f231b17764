# What is watched: monitoring/*.json, made into resources. monitoring/README.md tells how those files are made.
#
# Alerts and the dashboard are for all systems of the project (var.watched_systems); objectives are for each system by
# itself. Google makes the descriptors of metrics as they are written; none is declared here.

locals {
  watched_systems = var.watched_systems == null ? toset([var.system]) : var.watched_systems
  watches         = length(local.watched_systems) > 0

  # Another system's streams are not known here, so its names are watched with any stream's.
  may_be_of_a_stream = local.has_streams || local.watched_systems != toset([var.system]) ? "([.][a-z0-9_]+)?" : ""

  one_of_watched = "(${join("|", sort(local.watched_systems))})"
  placeholders = {
    operations_url            = var.operations_url
    topics                    = "${local.one_of_watched}${local.may_be_of_a_stream}"
    push_subscriptions        = "${local.one_of_watched}-push${local.may_be_of_a_stream}"
    dead_letter_subscriptions = "${local.one_of_watched}-dead-letters${local.may_be_of_a_stream}"
    services                  = "${local.one_of_watched}(-ingest)?"
    query_bytes_per_hour      = var.query_bytes_per_hour
    paused_subscriptions      = length(local.paused) == 0 ? "none" : "(${join("|", local.paused)})"
  }

  # Messages wait there because this configuration says so: the alert on a backlog leaves them out. No subscription is
  # called "none".
  paused = [for name, stream in local.streams : "${var.system}-push${replace(stream.suffix, ".", "[.]")}" if !local.push_enabled || !stream.pushes]

  alerts = { for alert in jsondecode(templatefile("${path.module}/monitoring/alerts.json", local.placeholders)) : alert.name => alert if local.watches }
  slos = { for slo in jsondecode(templatefile("${path.module}/monitoring/slos.json", {
    system       = var.system
    service_name = google_cloud_run_v2_service.main["main"].name
  })) : slo.name => slo }
}

resource "google_monitoring_alert_policy" "main" {
  for_each = local.alerts

  display_name          = "Sluice: ${each.value.display_name}"
  combiner              = "OR"
  severity              = each.value.severity
  user_labels           = each.value.user_labels
  notification_channels = local.channels[each.value.user_labels.response == "page" ? "page" : "tickets"]

  enabled = !contains(local.silent_alerts, each.key)

  conditions {
    display_name = each.value.display_name
    condition_prometheus_query_language {
      query               = join("\n", each.value.query)
      duration            = each.value.duration
      evaluation_interval = each.value.evaluation_interval

      # A project that is new has written none of the metrics yet. The condition is then false, until they are there.
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

  depends_on = [google_project_service.used]
}

resource "google_monitoring_dashboard" "main" {
  count = local.watches ? 1 : 0

  dashboard_json = jsonencode(jsondecode(templatefile("${path.module}/monitoring/dashboard.json", local.placeholders)))

  depends_on = [google_project_service.used]
}
