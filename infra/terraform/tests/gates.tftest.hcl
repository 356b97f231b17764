# There is no way to deploy without a gate: either the service checks every caller, or Cloud Run does.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = random_password.heartbeat
  override_during = plan
  values          = { result = "made at random" }
}

run "by_default_the_service_is_the_gate" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.main["main"].invoker_iam_disabled == true
    error_message = "With Cloud Run's check on, the service gets tokens whose signature it cannot verify."
  }

  assert {
    condition     = local.env["main"]["SLUICE_PLATFORM_IAM"] == "off"
    error_message = "The service must not trust a check that nobody makes."
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.invoker) == 0
    error_message = "Nobody needs to be let through by Cloud Run."
  }

  assert {
    condition     = local.env["main"]["SLUICE_PUSH_PRINCIPALS"] == google_service_account.push.email
    error_message = "Only the push identity may push."
  }

  assert {
    condition     = local.env["main"]["SLUICE_API_PRINCIPALS"] == google_service_account.deploy.email
    error_message = "Until somebody is named, only the smoke test may use the API."
  }

  assert {
    condition     = local.env["main"]["SLUICE_HOST"] == "0.0.0.0"
    error_message = "On a loopback address the service's gate is open."
  }

  assert {
    condition     = length([for name in keys(local.env["main"]) : name if startswith(name, "SLUICE_TOKEN_")]) == 0
    error_message = "Tokens are Google's: issuer and keys are left at their defaults."
  }
}

run "trust_leaves_the_gate_to_cloud_run" {
  command = plan

  variables {
    platform_iam = "trust"
    invokers     = ["serviceAccount:reader@my-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].invoker_iam_disabled == false
    error_message = "The service believes what it is shown: Cloud Run must have checked it."
  }

  assert {
    condition     = local.env["main"]["SLUICE_PLATFORM_IAM"] == "trust"
    error_message = "The service must know that it gets tokens without a signature."
  }

  assert {
    condition     = toset(google_cloud_run_v2_service.main["main"].custom_audiences) == toset([local.env["main"]["SLUICE_PUSH_AUDIENCE"], local.env["main"]["SLUICE_API_AUDIENCE"]])
    error_message = "Cloud Run refuses tokens for audiences that it was not told of."
  }

  assert {
    condition     = toset(values(google_cloud_run_v2_service_iam_member.invoker)[*].member) == toset([google_service_account.push.member, google_service_account.deploy.member, "serviceAccount:reader@my-project.iam.gserviceaccount.com"])
    error_message = "Let through are the push identity, the smoke test and those who were named."
  }

  assert {
    condition     = alltrue([for member in google_cloud_run_v2_service_iam_member.invoker : member.role == "roles/run.invoker"])
    error_message = "They may call the service, and nothing more."
  }
}

run "trust_without_a_smoke_test_lets_the_push_identity_through_only" {
  command = plan

  variables {
    platform_iam   = "trust"
    smoke_test     = false
    api_principals = ["reader@my-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = values(google_cloud_run_v2_service_iam_member.invoker)[*].member == [google_service_account.push.member]
    error_message = "Nobody else was named."
  }
}

run "on_the_way_from_trust_to_off_cloud_run_goes_on_checking" {
  command = plan

  variables {
    platform_iam       = "off"
    keep_invoker_check = true
    invokers           = ["serviceAccount:reader@my-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = local.env["main"]["SLUICE_PLATFORM_IAM"] == "off"
    error_message = "The next revision verifies tokens itself."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].invoker_iam_disabled == false
    error_message = "The revision that has the traffic still believes whatever it is shown."
  }

  assert {
    condition = (
      toset(values(google_cloud_run_v2_service_iam_member.invoker)[*].member) == toset([google_service_account.push.member, google_service_account.deploy.member, "serviceAccount:reader@my-project.iam.gserviceaccount.com"]) &&
      toset(google_cloud_run_v2_service.main["main"].custom_audiences) == toset([local.env["main"]["SLUICE_PUSH_AUDIENCE"], local.env["main"]["SLUICE_API_AUDIENCE"]])
    )
    error_message = "Until that revision is gone, those whom it served go on being served."
  }
}

run "the_settings_that_reach_the_container_are_these" {
  command = plan

  variables {
    settings = { SLUICE_MAX_READS = "64" }
  }

  assert {
    condition     = { for env in google_cloud_run_v2_service.main["main"].template[0].containers[0].env : env.name => env.value } == local.env["main"]
    error_message = "The other assertions are about local.env."
  }

  assert {
    condition     = local.env["main"]["SLUICE_MAX_READS"] == "64"
    error_message = "What var.settings adds is there."
  }
}

# ---- Mixing them up is refused.

run "there_is_no_third_gate" {
  command         = plan
  expect_failures = [var.platform_iam]

  variables {
    platform_iam = "none"
  }
}

run "invokers_without_trust_are_refused" {
  command         = plan
  expect_failures = [var.invokers]

  variables {
    invokers = ["serviceAccount:reader@my-project.iam.gserviceaccount.com"]
  }
}

run "everybody_is_no_invoker" {
  command         = plan
  expect_failures = [var.invokers]

  variables {
    platform_iam = "trust"
    invokers     = ["allUsers"]
  }
}

run "api_keys_do_not_pass_cloud_runs_check" {
  command         = plan
  expect_failures = [var.grants]

  variables {
    platform_iam = "trust"
    grants       = true
  }
}

run "the_gate_cannot_be_changed_behind_its_back" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { SLUICE_PLATFORM_IAM = "trust" }
  }
}

run "other_peoples_tokens_are_no_tokens" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { SLUICE_TOKEN_KEYS_URL = "https://example.com/keys" }
  }
}

run "an_api_that_nobody_may_use_is_refused" {
  command         = plan
  expect_failures = [var.smoke_test]

  variables {
    smoke_test = false
  }
}
