# What comes before everything else: the bucket of the state, and what GitHub's workflows may do. Applied by hand, or by
# `sluice install`, once for each environment.

terraform {
  required_version = ">= 1.11, < 2.0"
}

variable "project_id" {
  description = "The project of the environment."
  type        = string
}

variable "location" {
  description = "Where the bucket of the state is."
  type        = string
}

variable "github" {
  description = "The repository, by its number; the branch and the GitHub environment that deploy."
  type        = object({ repository_id = string, branch = string, environment = string })
}

module "bootstrap" {
  source = "git::https://github.com/__OWNER__/sluice.git//infra/terraform/bootstrap?ref=__REF__"

  project_id = var.project_id
  location   = var.location
  github     = var.github
}

output "state_bucket" {
  description = "For environments/NAME.backend.hcl."
  value       = module.bootstrap.state_bucket
}

output "workload_identity_provider" {
  description = "Who GitHub's tokens are exchanged by."
  value       = module.bootstrap.workload_identity_provider
}

output "apply_identity" {
  description = "Who applies."
  value       = module.bootstrap.apply_identity
}

output "plan_identity" {
  description = "Who plans pull requests."
  value       = module.bootstrap.plan_identity
}
