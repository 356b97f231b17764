# One service or two, and what each of two may do.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = random_password.heartbeat
  override_during = plan
  values          = { result = "made at random" }
}

run "one_service_does_both" {
  command = plan

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => service.name } == { main = "sluice" } && local.env["main"]["SLUICE_ROLES"] == "ingest,query"
    error_message = "Without a word there is one service."
  }

  assert {
    condition     = output.ingest_service_name == "" && output.ingest_url == output.service_url
    error_message = "Records are posted where they are read."
  }
}

run "two_services_share_an_image_and_divide_the_roles" {
  command = plan

  variables {
    services = "two"
  }

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => service.name } == { main = "sluice", ingest = "sluice-ingest" }
    error_message = "The one that answers queries keeps the name, and with it the address."
  }

  assert {
    condition     = { for key, env in local.env : key => env["SLUICE_ROLES"] } == { main = "query", ingest = "ingest" }
    error_message = "Each has one role."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].image == google_cloud_run_v2_service.main["ingest"].template[0].containers[0].image
    error_message = "They run the same image."
  }

  assert {
    condition     = alltrue([for key, service in google_cloud_run_v2_service.main : { for env in service.template[0].containers[0].env : env.name => env.value } == local.env[key]])
    error_message = "Each container gets its own settings."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].push_config[0].push_endpoint == "https://sluice-ingest.example.run.app/pubsub/push" && output.ingest_url == "https://sluice-ingest.example.run.app" && output.service_url == "https://sluice.example.run.app" && output.ingest_service_name == "sluice-ingest"
    error_message = "Pushes go to the one that ingests."
  }

  assert {
    condition     = strcontains(google_logging_project_exclusion.pushes.filter, "resource.labels.service_name=\"sluice-ingest\"")
    error_message = "Its good pushes are not logged."
  }

  assert {
    condition     = local.env["main"]["SLUICE_PUSH_PRINCIPALS"] == "" && local.env["main"]["SLUICE_HEARTBEAT_SIGNATURE"] == "" && local.env["ingest"]["SLUICE_PUSH_PRINCIPALS"] == google_service_account.push.email && local.env["ingest"]["SLUICE_HEARTBEAT_SIGNATURE"] != ""
    error_message = "Only the one that ingests accepts pushes and canaries."
  }

  assert {
    condition     = length(google_cloud_scheduler_job.heartbeat) == 0
    error_message = "Neither of two could measure a canary."
  }
}

run "each_of_two_has_the_rights_of_its_role_only" {
  command = plan

  variables {
    services = "two"
  }

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => service.template[0].service_account } == { for key, account in google_service_account.service : key => account.email } && google_service_account.service["main"].account_id == "sluice-service" && google_service_account.service["ingest"].account_id == "sluice-ingest"
    error_message = "Each runs as an account of its own."
  }

  assert {
    condition = toset([for grant in google_bigquery_table_iam_member.service : "${grant.member} ${grant.table_id} ${grant.role}"]) == toset([
      "${google_service_account.service["ingest"].member} _erasures roles/bigquery.dataEditor",
      "${google_service_account.service["ingest"].member} _instances roles/bigquery.dataEditor",
      "${google_service_account.service["ingest"].member} records roles/bigquery.dataEditor",
      "${google_service_account.service["ingest"].member} records_rejected roles/bigquery.dataEditor",
      "${google_service_account.service["main"].member} _erasures roles/bigquery.dataViewer",
      "${google_service_account.service["main"].member} _instances roles/bigquery.dataViewer",
      "${google_service_account.service["main"].member} records roles/bigquery.dataViewer",
      "${google_service_account.service["main"].member} records_rejected roles/bigquery.dataViewer",
    ])
    error_message = "One appends, the other reads."
  }

  assert {
    condition = toset([for grant in concat(values(google_project_iam_member.service_bigquery), values(google_project_iam_member.service_telemetry)) : "${grant.member} ${grant.role}"]) == toset([
      "${google_service_account.service["ingest"].member} roles/cloudtrace.agent",
      "${google_service_account.service["ingest"].member} roles/serviceusage.serviceUsageConsumer",
      "${google_service_account.service["ingest"].member} roles/telemetry.metricsWriter",
      "${google_service_account.service["main"].member} roles/bigquery.jobUser",
      "${google_service_account.service["main"].member} roles/bigquery.readSessionUser",
      "${google_service_account.service["main"].member} roles/cloudtrace.agent",
      "${google_service_account.service["main"].member} roles/serviceusage.serviceUsageConsumer",
      "${google_service_account.service["main"].member} roles/telemetry.metricsWriter",
    ])
    error_message = "Only the one that answers queries runs any."
  }

  assert {
    condition     = { for key, grant in google_secret_manager_secret_iam_member.signing : key => grant.member } == { ingest = google_service_account.service["ingest"].member } && { for key, grant in google_secret_manager_secret_iam_member.grants : key => grant.member } == { for key, account in google_service_account.service : key => account.member }
    error_message = "Both know the callers of the API, and only the one that ingests what replays are signed with."
  }

  assert {
    condition     = { for key, grant in google_secret_manager_secret_iam_member.pii : key => "${grant.member} ${grant.role}" } == { for key, account in google_service_account.service : key => "${account.member} roles/secretmanager.secretAccessor" }
    error_message = "Both hash personal data, and may do no more than read the key."
  }

  assert {
    condition     = { for key, grant in google_cloud_run_v2_service_iam_member.deploy : key => grant.name } == { main = "sluice", ingest = "sluice-ingest" } && { for key, grant in google_service_account_iam_member.deploy_as_service : key => grant.service_account_id } == { for key, account in google_service_account.service : key => account.name }
    error_message = "The deploy workflow makes revisions of both."
  }
}

run "with_one_service_no_right_changes_its_place" {
  command = plan

  assert {
    condition     = keys(google_bigquery_table_iam_member.service) == ["_erasures", "_instances", "records", "records_rejected"] && keys(google_project_iam_member.service_bigquery) == ["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"] && contains(keys(google_project_iam_member.service_telemetry), "roles/telemetry.metricsWriter")
    error_message = "Under another key Terraform would take the right away and give it again, while the service runs."
  }
}

run "secrets_and_the_cache_are_where_they_are_used" {
  command = plan

  variables {
    services           = "two"
    signing            = true
    grants             = true
    cache              = true
    pii_secret_version = 1
  }

  assert {
    condition     = alltrue([for service in google_cloud_run_v2_service.main : contains(service.template[0].containers[0].env[*].name, "SLUICE_PII_SECRET")])
    error_message = "Queries hash what they compare with."
  }

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => contains(service.template[0].containers[0].env[*].name, "SLUICE_SIGNING_SECRET") } == { main = false, ingest = true }
    error_message = "Replays are messages."
  }

  assert {
    condition     = alltrue([for service in google_cloud_run_v2_service.main : service.template[0].volumes[0].secret[0].secret == google_secret_manager_secret.grants.secret_id])
    error_message = "Both have callers."
  }

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => length(service.template[0].vpc_access) } == { main = 1, ingest = 0 } && local.env["ingest"]["SLUICE_CACHE_URL"] == "" && local.env["main"]["SLUICE_CACHE_URL"] != ""
    error_message = "Only answers are cached."
  }

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => contains(service.template[0].containers[0].env[*].name, "SLUICE_CACHE_SECRET") } == { main = true, ingest = false }
    error_message = "Nobody else needs the key of the cache."
  }
}

run "each_of_two_has_a_size_of_its_own" {
  command = plan

  variables {
    services    = "two"
    instances   = { min = 1, max = 3 }
    ingest_size = { cpu = "2", concurrency = 800, instances = { min = 2, max = 50 } }
  }

  assert {
    condition     = { for key, service in google_cloud_run_v2_service.main : key => "${service.template[0].containers[0].resources[0].limits["cpu"]} ${service.template[0].containers[0].resources[0].limits["memory"]} ${service.template[0].max_instance_request_concurrency} ${service.template[0].scaling[0].min_instance_count}-${service.template[0].scaling[0].max_instance_count}" } == { main = "1 1Gi 400 1-3", ingest = "2 1Gi 800 2-50" }
    error_message = "What is said of one is not said of the other."
  }
}

run "erasure_takes_the_right_to_delete" {
  command = plan

  variables {
    services = "two"
    erasure  = true
  }

  assert {
    condition     = toset([for grant in google_bigquery_table_iam_member.service : grant.role if grant.member == google_service_account.service["main"].member]) == toset(["roles/bigquery.dataEditor"])
    error_message = "A viewer deletes nothing."
  }
}

run "with_trust_pub_sub_reaches_the_one_that_ingests" {
  command = plan

  variables {
    services     = "two"
    platform_iam = "trust"
  }

  assert {
    condition = toset([for grant in google_cloud_run_v2_service_iam_member.invoker : "${grant.name} ${grant.member}"]) == toset([
      "sluice ${google_service_account.deploy.member}",
      "sluice-ingest ${google_service_account.deploy.member}",
      "sluice-ingest ${google_service_account.push.member}",
    ])
    error_message = "Whoever pushes has no business with the other."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].custom_audiences == tolist([local.api_audience]) && toset(google_cloud_run_v2_service.main["ingest"].custom_audiences) == toset([local.push_audience, local.api_audience])
    error_message = "Each takes the tokens that are meant for it."
  }
}

run "pushes_never_move_to_the_sample" {
  command         = plan
  expect_failures = [google_cloud_run_v2_service.main["ingest"]]

  variables {
    services    = "two"
    first_image = "us-docker.pkg.dev/cloudrun/container/hello"
  }
}

run "three_services_are_refused" {
  command         = plan
  expect_failures = [var.services]

  variables {
    services = "three"
  }
}

run "a_size_for_no_service_is_refused" {
  command         = plan
  expect_failures = [var.ingest_size]

  variables {
    ingest_size = { cpu = "2" }
  }
}

run "a_size_that_makes_no_sense_is_refused" {
  command         = plan
  expect_failures = [var.ingest_size]

  variables {
    services    = "two"
    ingest_size = { instances = { min = 1, max = 101 } }
  }
}
