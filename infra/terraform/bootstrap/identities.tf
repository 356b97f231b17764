# The two accounts that run Terraform. The third that GitHub's workflows use deploys images, and is made beside what it
# may touch (../deploy_identity.tf).

locals {
  purposes = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.purpose"

  # What ../*.tf grants on the project. The apply identity may hand out these roles and no others.
  granted_on_project = [
    "roles/bigquery.jobUser",
    "roles/bigquery.readSessionUser",
    "roles/cloudtrace.agent",
    "roles/memorystore.dbConnectionUser",
    "roles/monitoring.viewer",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/telemetry.metricsWriter",
    "roles/telemetry.tracesWriter",
  ]

  # It makes accounts and lets the service run as one of them, so it can become any account of the project. That is why an
  # environment has a project of its own, and why only a reviewed branch gets this far (github.tf).
  apply_roles = concat(
    [
      "roles/artifactregistry.admin",
      "roles/bigquery.admin",
      "roles/cloudscheduler.admin",
      "roles/iam.serviceAccountAdmin",
      "roles/iam.serviceAccountUser",
      "roles/logging.configWriter",
      "roles/monitoring.admin",
      "roles/pubsub.admin",
      "roles/run.admin",
      "roles/secretmanager.admin",
      "roles/serviceusage.serviceUsageAdmin",
    ],
    var.cache ? ["roles/compute.networkAdmin", "roles/memorystore.admin", "roles/networkconnectivity.consumerNetworkAdmin"] : [],
  )

  # Descriptions of things, and who may do what with them; no rows, no messages, no values of secrets, no log lines.
  plan_roles = concat(
    [
      "roles/artifactregistry.reader",
      "roles/bigquery.metadataViewer",
      "roles/cloudscheduler.viewer",
      "roles/iam.securityReviewer",
      "roles/iam.serviceAccountViewer",
      "roles/monitoring.viewer",
      "roles/pubsub.viewer",
      "roles/run.viewer",
      "roles/secretmanager.viewer",
      "roles/serviceusage.serviceUsageConsumer",
    ],
    var.cache ? ["roles/compute.networkViewer", "roles/memorystore.viewer"] : [],
  )
}

resource "google_service_account" "apply" {
  account_id   = var.apply_account
  display_name = "Applies infra/terraform from GitHub"

  depends_on = [google_project_service.used]
}

resource "google_service_account_iam_member" "apply_from_github" {
  service_account_id = google_service_account.apply.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.purposes}/apply"
}

resource "google_project_iam_member" "apply" {
  for_each = toset(local.apply_roles)

  project = var.project_id
  role    = each.key
  member  = google_service_account.apply.member
}

# It may grant on the project what the service needs, and cannot make itself, or anybody, its owner.
resource "google_project_iam_member" "apply_grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.apply.member

  condition {
    title      = "only_what_the_service_needs"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${join(", ", [for role in local.granted_on_project : "'${role}'"])}])"
  }
}

resource "google_service_account" "plan" {
  account_id   = var.plan_account
  display_name = "Plans infra/terraform for pull requests; changes nothing"

  depends_on = [google_project_service.used]
}

resource "google_service_account_iam_member" "plan_from_github" {
  service_account_id = google_service_account.plan.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.purposes}/plan"
}

resource "google_project_iam_member" "plan" {
  for_each = toset(local.plan_roles)

  project = var.project_id
  role    = each.key
  member  = google_service_account.plan.member
}

# The predefined role that shows log exclusions shows the logs, too.
resource "google_project_iam_custom_role" "log_exclusions" {
  role_id     = var.plan_role
  title       = "See log exclusions"
  permissions = ["logging.exclusions.get", "logging.exclusions.list"]

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "plan_log_exclusions" {
  project = var.project_id
  role    = google_project_iam_custom_role.log_exclusions.name
  member  = google_service_account.plan.member
}
