# Optional: the e-mail addresses of on_call hear when the project has spent half of a month's budget, nine tenths, and all
# of it. A budget tells and stops nothing. Making one takes roles/billing.costsManager on the billing account (README.md).

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
    monitoring_notification_channels = [for email in sort(local.emails) : google_monitoring_notification_channel.email[email].name]
  }

  lifecycle {
    precondition {
      condition     = length(local.emails) >= 1 && length(local.emails) <= 5
      error_message = "A budget can tell e-mail addresses only, and five at most: on_call names ${length(local.emails)}. Name an address in on_call.tickets (or page), or set budget = null."
    }
  }

  depends_on = [google_project_service.used]
}
