output "state_bucket" {
  description = "For environments/NAME.backend.hcl."
  value       = google_storage_bucket.state.name
}

output "workload_identity_provider" {
  description = "GitHub variable WORKLOAD_IDENTITY_PROVIDER, of the environment, and WORKLOAD_IDENTITY_PROVIDER_(ENVIRONMENT), of the repository, for plans of pull requests."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "apply_identity" {
  description = "GitHub variable APPLY_IDENTITY, of the environment."
  value       = google_service_account.apply.email
}

output "plan_identity" {
  description = "GitHub variable PLAN_IDENTITY_(ENVIRONMENT), of the repository: a pull request is in no environment."
  value       = google_service_account.plan.email
}
