# A record a minute that travels the whole way: topic, push, table, feed. The instance that stored it measures how long
# that took (docs/operations.md, "heartbeat"); readers do not see it.

# Anyone who may publish can set the attribute, so the service honours it only with this signature. It proves a canary
# and nothing else: whoever reads it in the state or in the job can hide their own messages from readers.
resource "random_password" "heartbeat" {
  count = var.heartbeat == null ? 0 : 1

  length  = 48
  special = false
}

locals {
  # The password itself goes nowhere.
  heartbeat_signature = var.heartbeat == null ? "" : nonsensitive(sha256("heartbeat:${random_password.heartbeat[0].result}"))
}

resource "google_cloud_scheduler_job" "heartbeat" {
  count = var.heartbeat == null ? 0 : 1

  name        = "${var.system}-heartbeat"
  region      = var.region
  description = "Publishes a record a minute to measure the way from publication to the feed"
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.records.id
    data       = base64encode(var.heartbeat)
    attributes = { sluice-heartbeat = "1", sluice-signature = local.heartbeat_signature }
  }

  depends_on = [google_project_service.used]
}
