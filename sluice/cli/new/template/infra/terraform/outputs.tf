# What docs/deploy.md and people read.

output "service_url" {
  description = "Where the API is."
  value       = module.sluice.service_url
}

output "service_name" {
  description = "For the variables of GitHub."
  value       = module.sluice.service_name
}

output "ingest_service_name" {
  description = "For the variables of GitHub."
  value       = module.sluice.ingest_service_name
}

output "region" {
  description = "For the variables of GitHub."
  value       = module.sluice.region
}

output "image_repository" {
  description = "For the variables of GitHub."
  value       = module.sluice.image_repository
}

output "project" {
  description = "For the variables of GitHub."
  value       = module.sluice.project
}

output "deploy_identity" {
  description = "For the variables of GitHub."
  value       = module.sluice.deploy_identity
}

output "api_audience" {
  description = "For the variables of GitHub."
  value       = module.sluice.api_audience
}

output "pushes" {
  description = "Whether Pub/Sub pushes to the service."
  value       = module.sluice.pushes
}

output "first_message" {
  description = "Commands that publish a record and read it back."
  value       = module.sluice.first_message
}

output "dead_letter_subscription" {
  description = "What `sluice redrive` reads."
  value       = module.sluice.dead_letter_subscription
}

output "topic" {
  description = "Where producers publish."
  value       = module.sluice.topic
}

output "dataset" {
  description = "Where the tables are."
  value       = module.sluice.dataset
}
