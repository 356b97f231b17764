# One environment of the service; environments/NAME.tfvars has what differs between them. The module has more
# variables than are given here: budgets, caches, alerts, streams, ….

terraform {
  required_version = ">= 1.11, < 2.0"

  # Which bucket is said by environments/NAME.backend.hcl.
  backend "gcs" {}
}

module "sluice" {
  source = "git::https://github.com/__OWNER__/sluice.git//infra/terraform?ref=__REF__"

  project_id     = var.project_id
  project_number = var.project_number
  region         = var.region
  location       = var.location
  environment    = var.environment
  system         = var.system

  # The record type, and its table: sluice schema bigquery >infra/terraform/table.schema.json
  record_type    = "orders:Order"
  record_id      = "id"
  schema_folder  = path.root
  streams_module = var.streams_module
  streams        = var.streams

  on_call             = var.on_call
  operations_url      = var.operations_url
  pushes              = var.pushes
  deletion_protection = var.deletion_protection
  retention_days      = var.retention_days
  instances           = var.instances

  # Published every minute to measure the delay until a record is readable; the feed leaves it out. It would keep an
  # instance awake around the clock, so dev has none.
  heartbeat = var.environment == "dev" ? null : jsonencode({
    id = "heartbeat", placed_time = "2000-01-01T00:00:00Z", country = "NO", total_cents = 0
  })

  simulated_source = var.simulated_source

  slack_token   = var.slack_token
  pagerduty_key = var.pagerduty_key
}
