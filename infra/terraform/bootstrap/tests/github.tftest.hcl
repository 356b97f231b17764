# Which of GitHub's tokens are good for what, and what may be done with them.

mock_provider "google" {
  override_during = plan

  mock_resource "google_iam_workload_identity_pool" {
    defaults = { name = "projects/1/locations/global/workloadIdentityPools/github" }
  }

  override_resource {
    target = google_service_account.apply
    values = { name = "apply", member = "serviceAccount:apply" }
  }

  override_resource {
    target = google_service_account.plan
    values = { name = "plan", member = "serviceAccount:plan" }
  }
}

run "only_this_repositorys_tokens_are_taken" {
  command = plan

  assert {
    condition     = startswith(google_iam_workload_identity_pool_provider.github.attribute_condition, "assertion.repository_id == '987654321' && (") && endswith(google_iam_workload_identity_pool_provider.github.attribute_condition, ")")
    error_message = "Whatever else holds, the token must be of this repository."
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github.oidc[0].issuer_uri == "https://token.actions.githubusercontent.com"
    error_message = "GitHub signs them."
  }
}

run "who_changes_things_comes_from_the_branch_and_the_environment" {
  command = plan

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.github.attribute_condition, "assertion.ref == 'refs/heads/main' && assertion.environment == 'prod'")
    error_message = "The branch's commits, in a job that the environment let through."
  }

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.github.attribute_condition, "assertion.event_name in ['push', 'workflow_dispatch']")
    error_message = "Other events, such as pull_request_target, run on the branch without being of it."
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github.attribute_mapping["attribute.purpose"] == "assertion.event_name == 'pull_request' ? 'plan' : assertion.workflow_ref.contains('/.github/workflows/infra.yml@refs/heads/main') ? 'apply' : assertion.workflow_ref.contains('/.github/workflows/deploy.yml@refs/heads/main') ? 'deploy' : 'none'"
    error_message = "A pull request plans, whatever its workflow is called; each workflow has one purpose."
  }
}

run "each_account_has_one_purpose" {
  command = plan

  assert {
    condition     = google_service_account_iam_member.plan_from_github.member == "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/attribute.purpose/plan" && google_service_account_iam_member.plan_from_github.service_account_id == google_service_account.plan.name && google_service_account_iam_member.plan_from_github.role == "roles/iam.workloadIdentityUser"
    error_message = "Pull requests become the account that looks."
  }

  assert {
    condition     = google_service_account_iam_member.apply_from_github.member == "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/attribute.purpose/apply" && google_service_account_iam_member.apply_from_github.service_account_id == google_service_account.apply.name && google_service_account_iam_member.apply_from_github.role == "roles/iam.workloadIdentityUser"
    error_message = "infra.yml on the branch becomes the account that applies."
  }
}

run "the_plan_identity_only_looks" {
  command = plan

  assert {
    condition = toset(values(google_project_iam_member.plan)[*].role) == toset([
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
    ])
    error_message = "It sees what things are: no rows, no messages, no secrets, no logs."
  }

  assert {
    condition     = alltrue([for permission in google_project_iam_custom_role.log_exclusions.permissions : endswith(permission, ".get") || endswith(permission, ".list")])
    error_message = "The role of our own only reads."
  }

  assert {
    condition     = google_project_iam_member.plan_log_exclusions.member == google_service_account.plan.member
    error_message = "It is for this account."
  }

  assert {
    condition     = google_storage_bucket_iam_member.plan.role == "roles/storage.objectViewer" && google_storage_bucket_iam_member.plan.member == google_service_account.plan.member
    error_message = "It reads the state, and cannot change it."
  }
}

run "the_apply_identity_cannot_make_itself_owner" {
  command = plan

  assert {
    condition     = length(setintersection(values(google_project_iam_member.apply)[*].role, ["roles/owner", "roles/editor", "roles/resourcemanager.projectIamAdmin", "roles/iam.securityAdmin"])) == 0
    error_message = "No basic role, and no role that hands out every role."
  }

  assert {
    condition     = google_project_iam_member.apply_grants.condition[0].expression == "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/bigquery.jobUser', 'roles/bigquery.readSessionUser', 'roles/cloudtrace.agent', 'roles/memorystore.dbConnectionUser', 'roles/monitoring.viewer', 'roles/serviceusage.serviceUsageConsumer', 'roles/telemetry.metricsWriter', 'roles/telemetry.tracesWriter'])"
    error_message = "On the project it hands out these roles and no others."
  }
}

run "the_state_is_kept" {
  command = plan

  assert {
    condition     = google_storage_bucket_iam_member.apply.role == "roles/storage.objectUser" && google_storage_bucket_iam_member.apply.member == google_service_account.apply.member
    error_message = "Who applies writes the state, and cannot say who else may."
  }

  assert {
    condition     = google_storage_bucket.state.versioning[0].enabled && google_storage_bucket.state.deletion_policy == "PREVENT" && google_storage_bucket.state.force_destroy == false
    error_message = "An earlier state can be brought back, and the bucket stays."
  }

  assert {
    condition     = google_storage_bucket.state.public_access_prevention == "enforced" && google_storage_bucket.state.uniform_bucket_level_access
    error_message = "Nobody else reads it."
  }
}

run "a_name_is_no_repository_id" {
  command         = plan
  expect_failures = [var.github]

  variables {
    github = { repository_id = "my-company/sluice", branch = "main", environment = "prod" }
  }
}

run "a_branch_cannot_end_the_quotation" {
  command         = plan
  expect_failures = [var.github]

  variables {
    github = { repository_id = "1", branch = "main' || true || '", environment = "prod" }
  }
}

run "names_are_these_unless_others_are_asked_for" {
  command = plan

  assert {
    condition     = [google_storage_bucket.state.name, google_iam_workload_identity_pool.github.workload_identity_pool_id, google_service_account.apply.account_id, google_service_account.plan.account_id, google_project_iam_custom_role.log_exclusions.role_id] == ["my-project-terraform", "github", "terraform-apply", "terraform-plan", "sluicePlanLogExclusions"]
    error_message = "environments/NAME.backend.hcl and ../ expect these names."
  }
}

run "a_second_system_has_names_of_its_own" {
  command = plan

  variables {
    state_bucket           = "my-orders-state"
    workload_identity_pool = "github-orders"
    apply_account          = "orders-apply"
    plan_account           = "orders-plan"
    plan_role              = "ordersPlanLogExclusions"
  }

  assert {
    condition     = [google_storage_bucket.state.name, google_iam_workload_identity_pool.github.workload_identity_pool_id, google_service_account.apply.account_id, google_service_account.plan.account_id, google_project_iam_custom_role.log_exclusions.role_id] == ["my-orders-state", "github-orders", "orders-apply", "orders-plan", "ordersPlanLogExclusions"]
    error_message = "One that the project has already would be refused, and so would one that was deleted in the last 30 days."
  }
}

run "a_pool_that_google_refuses_is_refused" {
  command         = plan
  expect_failures = [var.workload_identity_pool]

  variables {
    workload_identity_pool = "GitHub"
  }
}
