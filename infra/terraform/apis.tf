# Google's APIs that this configuration uses. bootstrap/ turns on those that it takes to get here.

resource "google_project_service" "used" {
  for_each = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "bigquery.googleapis.com",
      "bigquerystorage.googleapis.com",
      "cloudtrace.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "telemetry.googleapis.com",
    ],
    !local.publishes_canaries && var.simulated_source == null ? [] : ["cloudscheduler.googleapis.com"],
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
    var.cache ? ["compute.googleapis.com", "memorystore.googleapis.com", "networkconnectivity.googleapis.com", "serviceconsumermanagement.googleapis.com"] : [],
  ))

  project = var.project_id
  service = each.key

  # Others may use them in this project, too.
  disable_on_destroy = false
}
