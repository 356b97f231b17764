# Three accounts, each with what it needs. What follows lists every role: one more, or a wider one, fails a test.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "identities_are_separate" {
  command = plan

  assert {
    condition     = length(toset([google_service_account.service["main"].account_id, google_service_account.push.account_id, google_service_account.deploy.account_id])) == 3
    error_message = "Who serves, who pushes and who deploys are three accounts."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].service_account == google_service_account.service["main"].email
    error_message = "The service runs as its own account, not as the project's default one."
  }

  assert {
    condition     = !contains(split(",", local.env["main"]["SLUICE_API_PRINCIPALS"]), google_service_account.push.email) && !contains(split(",", local.env["main"]["SLUICE_PUSH_PRINCIPALS"]), google_service_account.deploy.email)
    error_message = "Who pushes may only push, and nobody else may."
  }
}

run "the_service_may_do_what_it_does" {
  command = plan

  assert {
    condition = toset([for grant in concat(values(google_project_iam_member.service_bigquery), values(google_project_iam_member.service_telemetry)) : "${grant.member} ${grant.role}"]) == toset([
      "${google_service_account.service["main"].member} roles/bigquery.jobUser",
      "${google_service_account.service["main"].member} roles/bigquery.readSessionUser",
      "${google_service_account.service["main"].member} roles/cloudtrace.agent",
      "${google_service_account.service["main"].member} roles/serviceusage.serviceUsageConsumer",
      "${google_service_account.service["main"].member} roles/telemetry.metricsWriter",
    ])
    error_message = "On the project: queries, exports, traces and metrics."
  }

  assert {
    condition = toset([for grant in google_bigquery_table_iam_member.service : "${grant.table_id} ${grant.role} ${grant.member}"]) == toset([
      "_erasures roles/bigquery.dataEditor ${google_service_account.service["main"].member}",
      "_instances roles/bigquery.dataEditor ${google_service_account.service["main"].member}",
      "records roles/bigquery.dataEditor ${google_service_account.service["main"].member}",
      "records_rejected roles/bigquery.dataEditor ${google_service_account.service["main"].member}",
    ])
    error_message = "Data of its three tables."
  }

  assert {
    condition     = [for grant in google_bigquery_dataset_iam_member.service : "${grant.role} ${grant.member}"] == ["roles/bigquery.metadataViewer ${google_service_account.service["main"].member}"]
    error_message = "The names and columns of the dataset's tables, and nothing in them."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.grants["main"].role == "roles/secretmanager.secretAccessor" && google_secret_manager_secret_iam_member.grants["main"].member == google_service_account.service["main"].member && google_secret_manager_secret_iam_member.grants["main"].secret_id == google_secret_manager_secret.grants.id
    error_message = "It reads its own secret."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.signing["main"].role == "roles/secretmanager.secretAccessor" && google_secret_manager_secret_iam_member.signing["main"].member == google_service_account.service["main"].member && google_secret_manager_secret_iam_member.signing["main"].secret_id == google_secret_manager_secret.signing.id
    error_message = "It reads what replays are signed with."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.pii["main"].secret_id == google_secret_manager_secret.pii.id
    error_message = "It reads the key of hashes."
  }
}

run "the_deploy_workflow_may_deploy" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service_iam_member.deploy["main"].role == "roles/run.developer" && google_cloud_run_v2_service_iam_member.deploy["main"].member == google_service_account.deploy.member && google_cloud_run_v2_service_iam_member.deploy["main"].name == google_cloud_run_v2_service.main["main"].name
    error_message = "It makes revisions of this service, and cannot change who may call it."
  }

  assert {
    condition     = google_artifact_registry_repository_iam_member.deploy.role == "roles/artifactregistry.writer" && google_artifact_registry_repository_iam_member.deploy.member == google_service_account.deploy.member && google_artifact_registry_repository_iam_member.deploy.repository == google_artifact_registry_repository.images.name
    error_message = "It puts images into this repository, and deletes none."
  }

  assert {
    condition     = google_project_iam_member.deploy_monitoring.role == "roles/monitoring.viewer" && google_project_iam_member.deploy_monitoring.member == google_service_account.deploy.member
    error_message = "It reads how the new revision does, and changes nothing of what is measured."
  }

  assert {
    condition     = google_service_account_iam_member.deploy_as_service["main"].role == "roles/iam.serviceAccountUser" && google_service_account_iam_member.deploy_as_service["main"].service_account_id == google_service_account.service["main"].name && google_service_account_iam_member.deploy_as_service["main"].member == google_service_account.deploy.member
    error_message = "It lets revisions run as the service's account, and as no other."
  }

  assert {
    condition     = google_service_account_iam_member.deploy_from_github.role == "roles/iam.workloadIdentityUser" && google_service_account_iam_member.deploy_from_github.member == "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/attribute.purpose/deploy" && google_service_account_iam_member.deploy_from_github.service_account_id == google_service_account.deploy.name
    error_message = "Only runs that are for deploying become this account: a pull request's do not."
  }
}

run "the_pool_of_a_second_system_has_its_own_name" {
  command = plan

  variables {
    workload_identity_pool = "github-orders"
  }

  assert {
    condition     = strcontains(google_service_account_iam_member.deploy_from_github.member, "/workloadIdentityPools/github-orders/attribute.purpose/deploy")
    error_message = "It is the one that bootstrap/ made."
  }
}

run "others_may_do_what_they_were_named_for" {
  command = plan

  variables {
    publishers      = ["serviceAccount:shop@other.iam.gserviceaccount.com"]
    dataset_readers = ["group:analysts@example.com"]
  }

  assert {
    condition     = [for grant in google_pubsub_topic_iam_member.publisher : "${grant.role} ${grant.member}"] == ["roles/pubsub.publisher serviceAccount:shop@other.iam.gserviceaccount.com"]
    error_message = "Publishers publish."
  }

  assert {
    condition     = [for grant in google_bigquery_dataset_iam_member.reader : "${grant.role} ${grant.member}"] == ["roles/bigquery.dataViewer group:analysts@example.com"]
    error_message = "Readers read."
  }
}

run "the_public_is_no_publisher" {
  command         = plan
  expect_failures = [var.publishers]

  variables {
    publishers = ["allUsers"]
  }
}

run "the_public_is_no_reader" {
  command         = plan
  expect_failures = [var.dataset_readers]

  variables {
    dataset_readers = ["allAuthenticatedUsers"]
  }
}
