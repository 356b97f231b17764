# A record a minute that travels the whole way: topic, push, table, feed. The instance that stored it measures how long
# that took (docs/operations.md, "heartbeat"); readers do not see it.

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
    attributes = { sluice-heartbeat = "1" }
  }

  depends_on = [google_project_service.used]
}
