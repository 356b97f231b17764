# For people, and for the deploy workflow: `terraform output` prints them, and so does each apply.

output "service_url" {
  description = "Where the API is."
  value       = google_cloud_run_v2_service.main["main"].uri
}

output "ingest_url" {
  description = "Where records are posted: the service of its own with services = \"two\", else service_url."
  value       = google_cloud_run_v2_service.main[local.ingest_key].uri
}

output "service_name" {
  description = "The Cloud Run service that the workflow deploys to (GitHub variable SERVICE)."
  value       = google_cloud_run_v2_service.main["main"].name
}

output "ingest_service_name" {
  description = "With services = \"two\", the other one that the workflow deploys to (GitHub variable INGEST_SERVICE); else empty."
  value       = local.two_services ? google_cloud_run_v2_service.main["ingest"].name : ""
}

output "image" {
  description = "The image of the newest revision."
  value       = google_cloud_run_v2_service.main["main"].template[0].containers[0].image
}

output "region" {
  description = "Where it is (GitHub variable REGION)."
  value       = var.region
}

output "image_repository" {
  description = "Where the workflow pushes images (GitHub variable IMAGE_REPOSITORY)."
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
}

output "update" {
  description = "With image: the commands that change the services to it, each at once and with all the traffic. Else empty."
  value = var.image == "" ? "" : join("", [for service in values(google_cloud_run_v2_service.main) :
    "gcloud run services update ${service.name} --project=${var.project_id} --region=${var.region} --image=${local.first_image}\n"
  ])
}

output "first_message" {
  description = "Commands that publish a record, read it back from the API, and find it with SQL: docs/deploy.md, section 7."
  value = join("\n", [
    "gcloud pubsub topics publish ${local.topic_ids[local.shown_stream]} --message='${local.first_record}'",
    "curl -H \"Authorization: Bearer $(gcloud auth print-identity-token --audiences=${local.api_audience} --include-email --impersonate-service-account=${coalesce(one(slice(sort(var.api_principals), 0, min(1, length(var.api_principals)))), "READER")})\" '${google_cloud_run_v2_service.main["main"].uri}/v1/${local.has_streams ? "streams/${local.shown_stream}/" : ""}records?since=-PT15M'",
    "bq query --project_id=${var.project_id} --nouse_legacy_sql 'SELECT * FROM `${var.project_id}.${google_bigquery_dataset.main.dataset_id}.${google_bigquery_table.recent[local.shown_stream].table_id}`'",
    "",
  ])
}

locals {
  # Of a type of your own, the canary's is the record that is known to be valid.
  first_record = var.heartbeat == null || !local.has_streams && var.record_type == "app.record:Record" ? jsonencode({ id = "first", timestamp = "2026-01-31T12:00:00Z", source = "me", data = { hello = "world" } }) : var.heartbeat
}

output "deploy_identity" {
  description = "Who the deploy workflow is on Google Cloud (GitHub variable DEPLOY_IDENTITY)."
  value       = google_service_account.deploy.email
}

output "service_identity" {
  description = "Who the service is on Google Cloud."
  value       = google_service_account.service["main"].email
}

output "push_identity" {
  description = "Who pushes. Nobody else may."
  value       = google_service_account.push.email
}

output "api_audience" {
  description = "The audience of ID tokens for the API (GitHub variable API_AUDIENCE)."
  value       = local.api_audience
}

output "push_audience" {
  description = "The audience of the tokens that pushes carry."
  value       = local.push_audience
}

output "topic" {
  description = "Where producers publish; of several streams, to the one with the canaries (topics has all)."
  value       = local.topic_ids[local.shown_stream]
}

output "push_subscription" {
  description = "What pushes to the service; of several streams, the messages of that one (push_subscriptions has all)."
  value       = google_pubsub_subscription.push[local.shown_stream].id
}

output "pushes" {
  description = "Whether Pub/Sub pushes to the service."
  value       = local.push_enabled ? "on" : "off: messages wait in the subscription, and no alert reports them. Set pushes = true once the first deployment has all the traffic."
}

output "dead_letter_subscription" {
  description = "What sluice redrive reads; of several streams, the dead letters of that one (dead_letter_subscriptions has all)."
  value       = google_pubsub_subscription.dead_letters[local.shown_stream].id
}

output "topics" {
  description = "By stream, where producers publish."
  value       = local.topic_ids
}

output "push_subscriptions" {
  description = "By stream, what pushes to the service."
  value       = { for name, subscription in google_pubsub_subscription.push : name => subscription.id }
}

output "dead_letter_subscriptions" {
  description = "By stream, what sluice redrive reads."
  value       = { for name, subscription in google_pubsub_subscription.dead_letters : name => subscription.id }
}

output "dataset" {
  description = "Where the tables are, as PROJECT.DATASET."
  value       = "${var.project_id}.${google_bigquery_dataset.main.dataset_id}"
}

output "signing_secret" {
  description = "The secret that takes what replays are signed with."
  value       = google_secret_manager_secret.signing.secret_id
}

output "pii_secret" {
  description = "The secret that takes the key of the hashes of personal data."
  value       = google_secret_manager_secret.pii.secret_id
}

output "heartbeat_signature" {
  description = "What proves a canary to the service: SLUICE_HEARTBEAT_SIGNATURE, for sluice canary and smoke --topic."
  value       = local.heartbeat_signature
}

output "grants_secret" {
  description = "The secret that takes the grants."
  value       = google_secret_manager_secret.grants.secret_id
}

output "project" {
  description = "The project (GitHub variable PROJECT)."
  value       = var.project_id
}
