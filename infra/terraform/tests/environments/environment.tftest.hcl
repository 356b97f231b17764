# What holds for each environment, whatever its size. The variables are the environment's:
#   terraform test -test-directory=tests/environments -var-file=environments/prod.tfvars

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "the_environment_can_be_planned" {
  command = plan

  assert {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "The variables were not given, or are of an environment that is not checked."
  }

  assert {
    condition     = strcontains(var.project_id, var.environment)
    error_message = "Each environment has a project of its own."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].invoker_iam_disabled == (local.env["main"]["SLUICE_PLATFORM_IAM"] == "off")
    error_message = "One of the two gates is closed, and the service knows which."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.main : length(policy.notification_channels) > 0])
    error_message = "Every alert has a channel."
  }

  assert {
    condition     = length(google_cloud_scheduler_job.simulated_source) == (var.environment == "dev" ? 1 : 0)
    error_message = "In dev there is something to see without a producer."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.main : table.deletion_protection || var.environment == "dev"])
    error_message = "Only dev may be thrown away."
  }
}
