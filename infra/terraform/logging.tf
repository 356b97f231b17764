# Cloud Run logs every request. Pushes that went well say nothing that the metrics do not, and at a thousand a second
# their log costs more than everything else together. Those that failed are kept.

resource "google_logging_project_exclusion" "pushes" {
  name        = "${var.system}-pushes"
  description = "Requests of Pub/Sub to ${var.system} that were answered well"

  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${google_cloud_run_v2_service.main[local.ingest_key].name}\"",
    "log_id(\"run.googleapis.com/requests\")",
    "httpRequest.requestUrl=~\"/pubsub/push${local.has_streams ? "/[a-z0-9_]+" : ""}$\"",
    "httpRequest.status<400",
  ])

  depends_on = [google_project_service.used]
}
