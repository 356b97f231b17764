# The objectives of this system (monitoring/objectives.yaml). Alerts on how fast they are missed are in alerts.yaml.

locals {
  objectives = yamldecode(templatefile("${path.module}/monitoring/objectives.yaml", {
    system       = var.system
    service_name = google_cloud_run_v2_service.main["main"].name
  }))
}

resource "google_monitoring_custom_service" "main" {
  service_id   = var.system
  display_name = "Sluice: ${var.system}"
  user_labels  = { system = var.system }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_slo" "main" {
  # An objective on a metric that was never written is refused ("the metric referenced by the provided filter is
  # unknown"). The service writes those metrics, at 0, from its first minute on.
  for_each = { for name, objective in local.objectives : name => objective if var.pushes && var.objectives }

  service             = google_monitoring_custom_service.main.service_id
  slo_id              = each.key
  display_name        = each.value.display_name
  goal                = each.value.goal
  rolling_period_days = 30
  user_labels         = { product = "sluice" }

  request_based_sli {
    dynamic "distribution_cut" {
      for_each = can(each.value.max) ? [each.value] : []
      content {
        distribution_filter = distribution_cut.value.distribution_filter
        range {
          max = distribution_cut.value.max
        }
      }
    }

    dynamic "good_total_ratio" {
      for_each = can(each.value.max) ? [] : [each.value]
      content {
        good_service_filter  = try(good_total_ratio.value.good_filter, null)
        bad_service_filter   = try(good_total_ratio.value.bad_filter, null)
        total_service_filter = try(good_total_ratio.value.total_filter, null)
      }
    }
  }
}
