# Who is notified (var.on_call). Slack's token and PagerDuty's key are write-only: sent, and kept nowhere by Terraform.

resource "google_monitoring_notification_channel" "email" {
  for_each = local.emails

  display_name = "${var.system}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "sms" {
  for_each = setunion([for told in local.told : told.sms]...)

  display_name = "${var.system}: ${each.key}"
  type         = "sms"
  labels       = { number = each.key }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "slack" {
  for_each = local.slack

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
  count = local.pagerduty ? 1 : 0

  display_name = "${var.system}: PagerDuty"
  type         = "pagerduty"

  sensitive_labels {
    service_key_wo         = var.pagerduty_key
    service_key_wo_version = tostring(var.channel_secrets_version)
  }

  depends_on = [google_project_service.used]
}

locals {
  # A list that several of us are in is one channel.
  told      = { page = var.on_call.page, tickets = var.on_call.tickets == null ? var.on_call.page : var.on_call.tickets }
  emails    = setunion([for told in local.told : told.emails]...)
  slack     = setunion([for told in local.told : told.slack]...)
  pagerduty = anytrue([for told in local.told : told.pagerduty])

  channels = { for kind, told in local.told : kind => concat(
    [for email in sort(told.emails) : google_monitoring_notification_channel.email[email].name],
    [for number in sort(told.sms) : google_monitoring_notification_channel.sms[number].name],
    [for channel in sort(told.slack) : google_monitoring_notification_channel.slack[channel].name],
    told.pagerduty ? google_monitoring_notification_channel.pagerduty[*].name : [],
    sort(told.existing),
  ) }
}
