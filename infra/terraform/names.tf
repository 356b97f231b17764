# What things are called. The names of this system's resources begin with var.system, so that several systems can
# live in one project.

locals {
  # Fixed texts rather than the service's URL: Terraform would run in a circle between service and subscription. They
  # name the project, so that a token made for one environment is good for no other.
  push_audience = "${var.project_id}/${var.system}/push"
  api_audience  = coalesce(var.api_audience, "${var.project_id}/${var.system}")

  labels = merge({ system = var.system, environment = var.environment, managed-by = "terraform" }, var.labels)

  # The account by which Pub/Sub itself acts in this project: it forwards dead letters and makes push tokens.
  pubsub_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
