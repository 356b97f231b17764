# Optional: ordinary records that Cloud Scheduler publishes, to be seen where there is no producer yet, as in dev. Its text
# is fixed, so ids and event times repeat: each time every record gets a new version.

resource "google_cloud_scheduler_job" "simulated_source" {
  count = var.simulated_source == null ? 0 : 1

  name        = "${var.system}-simulated-source"
  region      = var.region
  description = "Publishes sample records, as a producer would"
  schedule    = var.simulated_source.schedule
  time_zone   = "Etc/UTC"

  # What waits for the first deployment would be counted as hours late when pushes begin.
  paused = !local.push_enabled

  pubsub_target {
    topic_name = local.topic_ids[local.shown_stream]
    data       = base64encode(var.simulated_source.records)
  }

  depends_on = [google_project_service.used, google_pubsub_subscription.push]
}
