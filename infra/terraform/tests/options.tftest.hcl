# What can be switched on.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = random_password.heartbeat
  override_during = plan
  values          = { result = "made at random" }
}

run "the_heartbeat_is_marked_as_one" {
  command = plan

  assert {
    condition     = google_cloud_scheduler_job.heartbeat[0].pubsub_target[0].attributes == tomap({ sluice-heartbeat = "1", sluice-signature = sha256("heartbeat:made at random") }) && google_cloud_scheduler_job.heartbeat[0].pubsub_target[0].topic_name == google_pubsub_topic.main["records"].id
    error_message = "A heartbeat without the mark would be among the records."
  }

  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.heartbeat[0].pubsub_target[0].data)).id == "heartbeat"
    error_message = "It is a record."
  }
}

run "no_canary_waits_for_the_first_deployment" {
  command = plan

  variables {
    pushes = false
  }

  assert {
    condition     = google_cloud_scheduler_job.heartbeat[0].paused == true
    error_message = "Canaries that wait until pushes begin would be counted as hours late."
  }
}

run "canaries_are_published_once_pushes_are_on" {
  command = plan

  assert {
    condition     = google_cloud_scheduler_job.heartbeat[0].paused == false
    error_message = "Without canaries nothing measures the whole path."
  }
}

run "the_first_message_can_be_pasted" {
  command = plan

  variables {
    api_principals = ["reader@my-project.iam.gserviceaccount.com"]
  }

  assert {
    condition     = jsondecode(regex("topics publish ${google_pubsub_topic.main["records"].id} --message='([^']*)'", output.first_message)[0]).id == "first"
    error_message = "It is published as an ordinary record, which reads show."
  }

  assert {
    condition     = strcontains(output.first_message, "--audiences=my-project/sluice --include-email --impersonate-service-account=reader@my-project.iam.gserviceaccount.com)\" 'https://sluice.example.run.app/v1/records?since=-PT15M'")
    error_message = "It is read back by somebody who may."
  }

  assert {
    condition     = strcontains(output.first_message, "'SELECT * FROM `my-project.sluice.records_recent`'")
    error_message = "It is found with SQL."
  }
}

run "the_first_message_of_another_type_is_a_record_of_it" {
  command = plan

  variables {
    record_type = "orders:Order"
    heartbeat   = "{\"order\":7}"
  }

  assert {
    condition     = strcontains(output.first_message, "--message='{\"order\":7}'") && strcontains(output.first_message, "--impersonate-service-account=READER)")
    error_message = "The default record would be rejected."
  }
}

run "the_service_knows_the_heartbeat_by_its_signature" {
  command = plan

  assert {
    condition     = local.env["main"]["SLUICE_HEARTBEAT_SIGNATURE"] == google_cloud_scheduler_job.heartbeat[0].pubsub_target[0].attributes["sluice-signature"] && !strcontains(jsonencode(local.env["main"]), "made at random")
    error_message = "The service honours the mark only with the signature that is published, and the password goes nowhere."
  }
}

run "without_a_heartbeat_nothing_is_scheduled" {
  command = plan

  variables {
    heartbeat = null
  }

  assert {
    condition     = length(google_cloud_scheduler_job.heartbeat) == 0 && local.env["main"]["SLUICE_HEARTBEAT_SIGNATURE"] == "" && !contains(keys(google_project_service.used), "cloudscheduler.googleapis.com")
    error_message = "null is none, and what it would take is not turned on."
  }
}

run "a_simulated_source_publishes_ordinary_records" {
  command = plan

  variables {
    heartbeat        = null
    simulated_source = { records = "[{\"id\":\"a\"}]" }
  }

  assert {
    condition     = google_cloud_scheduler_job.simulated_source[0].pubsub_target[0].topic_name == google_pubsub_topic.main["records"].id && base64decode(google_cloud_scheduler_job.simulated_source[0].pubsub_target[0].data) == "[{\"id\":\"a\"}]"
    error_message = "They go the way of every record."
  }

  assert {
    condition     = try(length(google_cloud_scheduler_job.simulated_source[0].pubsub_target[0].attributes), 0) == 0
    error_message = "A canary's mark would hide them from readers."
  }

  assert {
    condition     = contains(keys(google_project_service.used), "cloudscheduler.googleapis.com") && google_cloud_scheduler_job.simulated_source[0].paused == false
    error_message = "The scheduler runs, also without canaries."
  }
}

run "a_simulated_source_waits_for_the_first_deployment" {
  command = plan

  variables {
    pushes           = false
    simulated_source = { records = "{}" }
  }

  assert {
    condition     = google_cloud_scheduler_job.simulated_source[0].paused
    error_message = "What waits is late when pushes begin."
  }
}

run "without_being_asked_nothing_is_simulated" {
  command = plan

  assert {
    condition     = length(google_cloud_scheduler_job.simulated_source) == 0
    error_message = "Among real records nobody wants others."
  }
}

run "records_that_are_no_json_are_refused" {
  command         = plan
  expect_failures = [var.simulated_source]

  variables {
    simulated_source = { records = "id,a" }
  }
}

run "the_cache_is_reached_through_a_network_of_its_own" {
  command = plan

  variables {
    cache = true
  }

  assert {
    condition     = local.env["main"]["SLUICE_CACHE_URL"] == "valkeys://default@10.8.0.3:6379/0?ssl_ca_data=-----BEGIN+CERTIFICATE-----%0AMIIB%2B%2F%3D%3D%0A-----END+CERTIFICATE-----%0Aanother"
    error_message = "The service is told where the cache takes writes, and whose certificates to believe."
  }

  assert {
    condition     = google_memorystore_instance.cache[0].authorization_mode == "IAM_AUTH" && google_memorystore_instance.cache[0].transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "Nobody connects without a token, or in plain text."
  }

  assert {
    condition     = google_project_iam_member.cache[0].role == "roles/memorystore.dbConnectionUser" && google_project_iam_member.cache[0].member == google_service_account.service["main"].member
    error_message = "The service logs in as what it is."
  }

  assert {
    condition     = [for env in google_cloud_run_v2_service.main["main"].template[0].containers[0].env : env.value_source[0].secret_key_ref[0].secret if env.name == "SLUICE_CACHE_SECRET"] == [google_secret_manager_secret.cache[0].secret_id] && google_secret_manager_secret_iam_member.cache[0].member == google_service_account.service["main"].member && google_secret_manager_secret_iam_member.cache[0].secret_id == google_secret_manager_secret.cache[0].id
    error_message = "What is in the cache is encrypted, with a key that only the service reads."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY"
    error_message = "Only what goes to the cache goes through the network."
  }

  assert {
    condition     = google_network_connectivity_service_connection_policy.cache[0].service_class == "gcp-memorystore" && google_memorystore_instance.cache[0].shard_count == 1
    error_message = "Memorystore may put its endpoint there."
  }
}

run "without_a_cache_there_is_no_network" {
  command = plan

  assert {
    condition     = local.env["main"]["SLUICE_CACHE_URL"] == "" && length(google_compute_network.cache) == 0 && length(google_secret_manager_secret.cache) == 0 && length(google_cloud_run_v2_service.main["main"].template[0].vpc_access) == 0
    error_message = "Each instance has its own cache."
  }
}

run "a_budget_tells_the_addresses_on_call" {
  command = plan

  variables {
    budget      = { billing_account = "0A1B2C-000000-000000", monthly = 200 }
    on_call     = { page = { slack = ["#on-call"] }, tickets = { emails = ["team@example.com"] } }
    slack_token = "not-a-token"
  }

  assert {
    condition     = google_billing_budget.project[0].all_updates_rule[0].monitoring_notification_channels == tolist(["projects/my-project/notificationChannels/2"]) && google_billing_budget.project[0].budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "It is this project's, and the e-mail address hears of it: Google takes no other channel."
  }
}

run "a_budget_that_can_tell_nobody_is_refused" {
  command         = plan
  expect_failures = [google_billing_budget.project]

  variables {
    budget        = { billing_account = "0A1B2C-000000-000000", monthly = 200 }
    on_call       = { page = { pagerduty = true } }
    pagerduty_key = "not-a-key"
  }
}

run "a_budget_that_can_tell_not_all_is_refused" {
  command         = plan
  expect_failures = [google_billing_budget.project]

  variables {
    budget  = { billing_account = "0A1B2C-000000-000000", monthly = 200 }
    on_call = { page = { emails = [for name in ["a", "b", "c", "d", "e", "f"] : "${name}@example.com"] } }
  }
}

run "what_is_kept_stays_in_the_region" {
  command = plan

  assert {
    condition     = alltrue([for secret in [google_secret_manager_secret.grants, google_secret_manager_secret.signing, google_secret_manager_secret.pii] : length(secret.replication[0].auto) == 0 && secret.replication[0].user_managed[0].replicas[*].location == tolist(["europe-west1"])])
    error_message = "Automatic replication needs the location global, which an organisation may refuse."
  }

  assert {
    condition     = alltrue([for topic in [google_pubsub_topic.main["records"], google_pubsub_topic.dead_letters["records"]] : try(topic.message_storage_policy[0].allowed_persistence_regions, toset([])) == toset(["europe-west1"])])
    error_message = "A message that is published elsewhere is kept here, and so is a dead letter."
  }
}

run "what_is_kept_may_be_elsewhere_too" {
  command = plan

  variables {
    secret_regions              = ["europe-west1", "europe-west4"]
    allowed_persistence_regions = []
  }

  assert {
    condition     = google_secret_manager_secret.grants.replication[0].user_managed[0].replicas[*].location == tolist(["europe-west1", "europe-west4"])
    error_message = "The secrets are where they were asked for."
  }

  assert {
    condition     = length(google_pubsub_topic.main["records"].message_storage_policy) + length(google_pubsub_topic.dead_letters["records"].message_storage_policy) == 0
    error_message = "Messages are kept where they are published."
  }
}

run "a_secret_everywhere_is_refused" {
  command         = plan
  expect_failures = [var.secret_regions]

  variables {
    secret_regions = ["global"]
  }
}

run "a_topic_may_have_a_schema" {
  command = plan

  variables {
    topic_schema = { type = "AVRO", definition = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}" }
  }

  assert {
    condition     = google_pubsub_topic.main["records"].schema_settings[0].encoding == "JSON" && google_pubsub_schema.main["records"].type == "AVRO"
    error_message = "Pub/Sub refuses what does not fit."
  }
}

run "a_schema_in_another_encoding_than_the_service_reads_is_refused" {
  command         = plan
  expect_failures = [var.topic_schema]

  variables {
    topic_schema = { type = "AVRO", definition = "{}", encoding = "BINARY" }
  }
}
