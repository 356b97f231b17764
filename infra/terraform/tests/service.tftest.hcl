# How the service runs, and what an apply leaves alone.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "probes_ask_the_right_questions" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].startup_probe[0].http_get[0].path == "/health/ready" && google_cloud_run_v2_service.main["main"].template[0].containers[0].readiness_probe[0].http_get[0].path == "/health/ready"
    error_message = "An instance gets requests when it is ready."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].liveness_probe[0].http_get[0].path == "/health/live"
    error_message = "An instance is replaced when it is stuck, not when the store is in trouble."
  }
}

run "an_instance_is_paid_for_and_works_all_the_time" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].resources[0].cpu_idle == false
    error_message = "Appends and metrics go on between requests."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].resources[0].startup_cpu_boost == true
    error_message = "Starting is waited for."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].scaling[0].min_instance_count == 1 && google_cloud_run_v2_service.main["main"].template[0].scaling[0].max_instance_count == 10 && google_cloud_run_v2_service.main["main"].template[0].max_instance_request_concurrency == 400
    error_message = "The size is what the variables say."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].deletion_protection
    error_message = "Terraform must not delete the service: its address would change."
  }

  assert {
    condition     = local.env["main"]["SLUICE_BACKEND"] == "bigquery" && local.env["main"]["SLUICE_BIGQUERY_PROJECT"] == "my-project" && local.env["main"]["SLUICE_BIGQUERY_DATASET"] == google_bigquery_dataset.main.dataset_id
    error_message = "Records go to the dataset that was made for them."
  }
}

run "ingress_is_what_was_said" {
  command = plan

  variables {
    ingress = "internal-and-cloud-load-balancing"
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "The variable says it in gcloud's words."
  }
}

run "grants_are_read_from_the_secret" {
  command = plan

  variables {
    grants = true
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].volumes[0].secret[0].secret == google_secret_manager_secret.grants.secret_id && google_cloud_run_v2_service.main["main"].template[0].volumes[0].secret[0].items[0].version == "latest"
    error_message = "The newest version of the secret is mounted."
  }

  assert {
    condition     = local.env["main"]["SLUICE_GRANTS_FILE"] == "${google_cloud_run_v2_service.main["main"].template[0].containers[0].volume_mounts[0].mount_path}/${google_cloud_run_v2_service.main["main"].template[0].volumes[0].secret[0].items[0].path}"
    error_message = "The service reads the file where it is mounted."
  }
}

run "without_grants_nothing_is_mounted" {
  command = plan

  assert {
    condition     = length(google_cloud_run_v2_service.main["main"].template[0].volumes) == 0 && local.env["main"]["SLUICE_GRANTS_FILE"] == ""
    error_message = "A revision with a secret that has no version does not start."
  }
}

run "the_signing_secret_comes_from_secret_manager" {
  command = plan

  variables {
    signing = true
  }

  assert {
    condition     = [for env in google_cloud_run_v2_service.main["main"].template[0].containers[0].env : env.value_source[0].secret_key_ref[0].secret if env.name == "SLUICE_SIGNING_SECRET"] == [google_secret_manager_secret.signing.secret_id]
    error_message = "The value is neither in the plan nor in the state."
  }
}

run "without_signing_there_is_no_secret" {
  command = plan

  assert {
    condition     = !contains([for env in google_cloud_run_v2_service.main["main"].template[0].containers[0].env : env.name], "SLUICE_SIGNING_SECRET")
    error_message = "A revision with a secret that has no version does not start."
  }
}

run "the_key_of_hashes_comes_from_secret_manager" {
  command = plan

  variables {
    pii_secret_version = 2
  }

  assert {
    condition     = [for env in google_cloud_run_v2_service.main["main"].template[0].containers[0].env : "${env.value_source[0].secret_key_ref[0].secret} ${env.value_source[0].secret_key_ref[0].version}" if env.name == "SLUICE_PII_SECRET"] == ["${google_secret_manager_secret.pii.secret_id} 2"]
    error_message = "The value is neither in the plan nor in the state, and another key comes only with an apply."
  }
}

run "without_personal_data_there_is_no_key" {
  command = plan

  assert {
    condition     = !contains([for env in google_cloud_run_v2_service.main["main"].template[0].containers[0].env : env.name], "SLUICE_PII_SECRET")
    error_message = "A revision with a secret that has no version does not start."
  }
}

run "a_key_that_changes_unnoticed_is_refused" {
  command         = plan
  expect_failures = [var.pii_secret_version]

  variables {
    pii_secret_version = 0
  }
}

run "a_key_among_the_settings_is_refused" {
  command         = plan
  expect_failures = [var.settings]

  variables {
    settings = { SLUICE_PII_SECRET = "in a tfvars file, where many people can read it" }
  }
}

run "a_secret_among_the_settings_is_refused" {
  command = plan

  variables {
    settings = { SLUICE_SIGNING_SECRET = "in a tfvars file" }
  }

  expect_failures = [var.settings]
}

run "images_that_nobody_wants_back_are_removed" {
  command = plan

  assert {
    condition     = toset([for policy in google_artifact_registry_repository.images.cleanup_policies : policy.action]) == toset(["KEEP", "DELETE"]) && !google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "The newest are kept and old ones go, which an immutable tag would prevent."
  }

  assert {
    condition     = alltrue([for policy in google_artifact_registry_repository.images.cleanup_policies : policy.condition[0].tag_state == "ANY" if policy.action == "DELETE"])
    error_message = "The parts of an index have no tag: they are as old as it, and go with it."
  }
}

run "a_published_image_comes_by_way_of_this_project" {
  command = plan

  variables {
    image = "ghcr.io/my-company/sluice@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].image == "europe-west1-docker.pkg.dev/my-project/sluice-published/my-company/sluice@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    error_message = "The service starts with it, by its digest."
  }

  assert {
    condition     = google_artifact_registry_repository.published[0].mode == "REMOTE_REPOSITORY" && google_artifact_registry_repository.published[0].remote_repository_config[0].docker_repository[0].custom_repository[0].uri == "https://ghcr.io"
    error_message = "Cloud Run does not pull from another registry."
  }

  assert {
    condition     = length(google_pubsub_subscription.push["records"].push_config) == 1
    error_message = "The sample never runs, so pushes may be on from the first apply."
  }

  assert {
    condition     = strcontains(output.update, "gcloud run services update sluice --project=my-project --region=europe-west1 --image=${google_cloud_run_v2_service.main["main"].template[0].containers[0].image}")
    error_message = "An apply leaves the image alone, so something must say how it is changed."
  }
}

run "a_published_image_is_named_by_its_digest" {
  command         = plan
  expect_failures = [var.image]

  variables {
    image = "ghcr.io/my-company/sluice:1.2.3"
  }
}

run "without_a_published_image_there_is_no_second_repository" {
  command = plan

  assert {
    condition     = length(google_artifact_registry_repository.published) == 0 && output.update == ""
    error_message = "The deploy workflow builds its own."
  }
}

run "nothing_in_preview_is_needed" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.main["main"].launch_stage != "BETA"
    error_message = "Readiness probes are generally available; a preview has no support."
  }
}
