# Who the deploy workflow is on Google Cloud. It has no key: GitHub's token for a run of .github/workflows/deploy.yml, on
# this environment's branch, is exchanged for it (bootstrap/github.tf says which tokens are).

resource "google_service_account" "deploy" {
  account_id   = "${var.system}-deploy"
  display_name = "Deploys ${var.system} from GitHub"
}

# Including ID tokens of itself, which the smoke test shows the service.
resource "google_service_account_iam_member" "deploy_from_github" {
  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${var.workload_identity_pool}/attribute.purpose/deploy"
}

# New revisions of the services of this system, and of no other.
resource "google_cloud_run_v2_service_iam_member" "deploy" {
  for_each = google_cloud_run_v2_service.main

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.developer"
  member   = google_service_account.deploy.member
}

# It looks at the new revision's error rate before each step of its traffic.
resource "google_project_iam_member" "deploy_monitoring" {
  project = var.project_id
  role    = "roles/monitoring.viewer"
  member  = google_service_account.deploy.member
}

# Whoever deploys a revision must be allowed to let it run as the account it runs as.
resource "google_service_account_iam_member" "deploy_as_service" {
  for_each = google_service_account.service

  service_account_id = each.value.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deploy.member
}

# After an apply it makes the search index of each table of records (`sluice schema index`), for which there is no
# resource. It may already let any image run as the service, so these are no rights beyond.
resource "google_bigquery_table_iam_member" "deploy_index" {
  for_each = toset([for name, table in local.tables : name if var.id_index && length(table.id) > 0])

  dataset_id = google_bigquery_table.main[each.key].dataset_id
  table_id   = google_bigquery_table.main[each.key].table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.deploy.member
}

resource "google_project_iam_member" "deploy_index" {
  count = var.id_index ? 1 : 0

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.deploy.member
}
