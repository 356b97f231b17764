# The objectives of this system (monitoring/slos.json). Alerts on how fast they are missed are among alerts.json.

resource "google_monitoring_custom_service" "main" {
  service_id   = var.system
  display_name = "Sluice: ${var.system}"
  user_labels  = { system = var.system }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_slo" "main" {
  # An objective on a metric that was never written is refused ("the metric referenced by the provided filter is
  # unknown"). The service writes those metrics, at 0, from its first minute on.
  for_each = { for name, slo in local.slos : name => slo if var.pushes && var.objectives }

  service             = google_monitoring_custom_service.main.service_id
  slo_id              = each.key
  display_name        = each.value.display_name
  goal                = each.value.goal
  rolling_period_days = each.value.rolling_period_days
  user_labels         = each.value.user_labels

  request_based_sli {
    dynamic "distribution_cut" {
      for_each = [for cut in [try(each.value.sli.request_based_sli.distribution_cut, null)] : cut if cut != null]
      content {
        distribution_filter = distribution_cut.value.distribution_filter
        range {
          min = try(distribution_cut.value.range.min, null)
          max = try(distribution_cut.value.range.max, null)
        }
      }
    }

    dynamic "good_total_ratio" {
      for_each = [for ratio in [try(each.value.sli.request_based_sli.good_total_ratio, null)] : ratio if ratio != null]
      content {
        good_service_filter  = try(good_total_ratio.value.good_service_filter, null)
        bad_service_filter   = try(good_total_ratio.value.bad_service_filter, null)
        total_service_filter = try(good_total_ratio.value.total_service_filter, null)
      }
    }
  }
}
