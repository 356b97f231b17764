# Who is told (var.on_call). Slack's token and PagerDuty's key are write-only: sent, and kept nowhere by Terraform.

resource "google_monitoring_notification_channel" "email" {
  for_each = var.on_call.emails

  display_name = "${var.system}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "sms" {
  for_each = var.on_call.sms

  display_name = "${var.system}: ${each.key}"
  type         = "sms"
  labels       = { number = each.key }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "slack" {
  for_each = var.on_call.slack

  display_name = "${var.system}: ${each.key}"
  type         = "slack"
  labels       = { channel_name = each.key }

  sensitive_labels {
    auth_token_wo         = var.slack_token
    auth_token_wo_version = tostring(var.channel_secrets_version)
  }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "pagerduty" {
  count = var.on_call.pagerduty ? 1 : 0

  display_name = "${var.system}: PagerDuty"
  type         = "pagerduty"

  sensitive_labels {
    service_key_wo         = var.pagerduty_key
    service_key_wo_version = tostring(var.channel_secrets_version)
  }

  depends_on = [google_project_service.used]
}

locals {
  channels = concat(
    values(google_monitoring_notification_channel.email)[*].name,
    values(google_monitoring_notification_channel.sms)[*].name,
    values(google_monitoring_notification_channel.slack)[*].name,
    google_monitoring_notification_channel.pagerduty[*].name,
    sort(var.on_call.existing),
  )
}
