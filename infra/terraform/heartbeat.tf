# A record a minute that travels the whole way: topic, push, table, feed. The instance that stored it measures how long
# that took (docs/metrics.md, "heartbeat"); readers do not see it.

# Anyone who may publish can set the attribute, so the service honours it only with this signature. It proves a canary
# and nothing else: whoever reads it in the state or in the job can hide their own messages from readers.
resource "random_password" "heartbeat" {
  count = var.heartbeat == null ? 0 : 1

  length  = 48
  special = false
}

locals {
  # An instance measures the canaries that it stored, by reading them: of two services neither can do both.
  publishes_canaries = var.heartbeat != null && !local.two_services

  # Alerts that would fire because of what was asked for: without pushes messages wait, and without canaries none is seen.
  # One policy watches several systems, so it is only off if this system is the only one.
  silent_alerts = local.watched_systems != toset([var.system]) ? [] : concat(
    local.push_enabled ? [] : ["backlog"],
    local.push_enabled && local.publishes_canaries ? [] : ["heartbeat-absent"],
  )

  # The password itself goes nowhere.
  heartbeat_signature = var.heartbeat == null ? "" : nonsensitive(sha256("heartbeat:${random_password.heartbeat[0].result}"))
}

resource "google_cloud_scheduler_job" "heartbeat" {
  count = local.publishes_canaries ? 1 : 0

  name        = "${var.system}-heartbeat"
  region      = var.region
  description = "Publishes a record a minute to measure the way from publication to the feed"
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  # A canary that waits for the first deployment would be counted as hours late when pushes begin.
  paused = !local.push_enabled

  pubsub_target {
    topic_name = local.topic_ids[local.heartbeat_stream]
    data       = base64encode(var.heartbeat)
    attributes = { sluice-heartbeat = "1", sluice-signature = local.heartbeat_signature }
  }

  # The apply that turns pushes on resumes it last.
  depends_on = [google_project_service.used, google_pubsub_subscription.push]
}
