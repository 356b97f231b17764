# Optional: people on call hear when the project has spent half of a month's budget, nine tenths, and all of it. A budget
# tells and stops nothing. Making one takes roles/billing.costsManager on the billing account (README.md).

resource "google_billing_budget" "project" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "${var.project_id}: ${var.system}"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      units         = tostring(floor(var.budget.monthly))
      currency_code = var.budget.currency
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  # What it will come to by the end of the month.
  threshold_rules {
    threshold_percent = 1.2
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    # A budget tells five channels at most.
    monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels)))
  }

  depends_on = [google_project_service.used]
}
