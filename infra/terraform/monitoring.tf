# What is watched: monitoring/alerts.yaml, objectives.yaml and dashboard.json, made into resources. grafana.json is the
# same board for Grafana; nothing here reads it.
#
# Alerts and the dashboard are for all systems of the project (var.watched_systems); objectives are for each system by
# itself. Google makes the descriptors of metrics as they are written; none is declared here.

locals {
  watched_systems = var.watched_systems == null ? toset([var.system]) : var.watched_systems
  watches         = length(local.watched_systems) > 0

  # Another system's streams are not known here, so its names are watched with any stream's.
  may_be_of_a_stream = local.has_streams || local.watched_systems != toset([var.system]) ? "([.][a-z0-9_]+)?" : ""

  # Names are regular expressions (RE2) over those of all watched systems.
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

  alerts = { for alert in flatten([
    for group in yamldecode(templatefile("${path.module}/monitoring/alerts.yaml", local.placeholders)).groups : [
      for rule in group.rules : merge(rule, { interval = group.interval }) if group.name != "fixed-limits" || var.fixed_limits
    ]
  ]) : alert.alert => alert if local.watches }
}

resource "google_monitoring_alert_policy" "main" {
  for_each = local.alerts

  display_name          = "Sluice: ${each.value.annotations.summary}"
  combiner              = "OR"
  severity              = each.value.labels.severity == "page" ? "CRITICAL" : "WARNING"
  user_labels           = { product = "sluice", response = each.value.labels.severity }
  notification_channels = local.channels[each.value.labels.severity == "page" ? "page" : "tickets"]

  enabled = !contains(local.silent_alerts, each.key)

  conditions {
    display_name = each.value.annotations.summary
    condition_prometheus_query_language {
      query               = each.value.expr
      duration            = try(each.value.for, "0s")
      evaluation_interval = each.value.interval

      # A project that is new has written none of the metrics yet. The condition is then false, until they are there.
      disable_metric_validation = true
    }
  }

  # An incident whose series has ended would otherwise stay open for 7 days.
  alert_strategy {
    auto_close = "1800s"
  }

  documentation {
    subject   = each.value.annotations.summary
    content   = each.value.annotations.description
    mime_type = "text/markdown"

    links {
      display_name = "Run-book"
      url          = each.value.annotations.runbook_url
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_dashboard" "main" {
  count = local.watches ? 1 : 0

  dashboard_json = jsonencode(jsondecode(templatefile("${path.module}/monitoring/dashboard.json", local.placeholders)))

  depends_on = [google_project_service.used]
}
