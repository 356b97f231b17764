# What Pub/Sub shows the service, when it gives up, and where messages go then.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "pushes_are_authenticated" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.push["records"].push_config[0].push_endpoint == "https://sluice.example.run.app/pubsub/push"
    error_message = "Pushes go to the service's endpoint for them."
  }

  assert {
    condition     = try(google_pubsub_subscription.push["records"].push_config[0].oidc_token[0].service_account_email, "") == google_service_account.push.email
    error_message = "Pushes carry a token of the push identity."
  }

  assert {
    condition     = try(google_pubsub_subscription.push["records"].push_config[0].oidc_token[0].audience, "") == local.env["main"]["SLUICE_PUSH_AUDIENCE"]
    error_message = "The token is made for the audience that the service expects."
  }

  assert {
    condition     = local.env["main"]["SLUICE_PUSH_AUDIENCE"] == "my-project/sluice/push" && local.env["main"]["SLUICE_API_AUDIENCE"] == "my-project/sluice"
    error_message = "Audiences are fixed texts, of this project and system, and not the same."
  }

  assert {
    condition = (
      google_service_account_iam_member.push_token.service_account_id == google_service_account.push.name &&
      google_service_account_iam_member.push_token.role == "roles/iam.serviceAccountTokenCreator" &&
      google_service_account_iam_member.push_token.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    )
    error_message = "Pub/Sub makes tokens of the push identity, and of no other."
  }
}

run "the_subscription_and_the_service_agree_on_the_clocks" {
  command = plan

  variables {
    retention_days = 100
  }

  assert {
    condition     = tostring(google_pubsub_subscription.push["records"].ack_deadline_seconds) == local.env["main"]["SLUICE_ACK_DEADLINE_S"]
    error_message = "The ack deadline is one and the same."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].retry_policy[0].maximum_backoff == "${local.env["main"]["SLUICE_RETRY_BACKOFF_MAX_S"]}s"
    error_message = "The longest back-off is one and the same."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].retry_policy[0].minimum_backoff == "10s" && google_pubsub_subscription.push["records"].retry_policy[0].maximum_backoff == "600s"
    error_message = "Back-offs are 10 s to 600 s."
  }

  assert {
    condition     = tonumber(local.env["main"]["SLUICE_DEDUPE_LOOKBACK_S"]) >= tonumber(local.env["main"]["SLUICE_RETRY_BACKOFF_MAX_S"]) + tonumber(local.env["main"]["SLUICE_ACK_DEADLINE_S"])
    error_message = "A redelivery must come within the look-back."
  }

  assert {
    condition     = alltrue([for name, table in google_bigquery_table.main : contains(["_instances", "records_rejected"], name) || table.time_partitioning[0].expiration_ms == tonumber(local.env["main"]["SLUICE_RETENTION_DAYS"]) * 86400000])
    error_message = "A look-up by id searches as far back as partitions are kept."
  }

  assert {
    condition     = local.env["main"]["SLUICE_RETENTION_DAYS"] == "100"
    error_message = "The retention is the variable's."
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].timeout == "300s" && tonumber(local.env["main"]["SLUICE_TAIL_MAX_S"]) < 300
    error_message = "A tail ends itself before Cloud Run ends it."
  }
}

run "what_is_not_taken_is_kept" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.push["records"].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead_letters["records"].id && google_pubsub_subscription.push["records"].dead_letter_policy[0].max_delivery_attempts == 100
    error_message = "What was refused a hundred times goes to the dead-letter topic."
  }

  assert {
    condition     = google_pubsub_subscription.dead_letters["records"].topic == google_pubsub_topic.dead_letters["records"].id && google_pubsub_subscription.dead_letters["records"].message_retention_duration == "2678400s"
    error_message = "A subscription keeps dead letters for 31 days."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].message_retention_duration == "604800s"
    error_message = "Messages wait for 7 days."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].expiration_policy[0].ttl == "" && google_pubsub_subscription.dead_letters["records"].expiration_policy[0].ttl == ""
    error_message = "A subscription that expires takes its messages with it."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].deletion_policy == "PREVENT" && google_pubsub_subscription.dead_letters["records"].deletion_policy == "PREVENT"
    error_message = "Terraform must not delete messages."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.dead_letter_publisher["records"].member == local.pubsub_agent && google_pubsub_topic_iam_member.dead_letter_publisher["records"].role == "roles/pubsub.publisher" && google_pubsub_topic_iam_member.dead_letter_publisher["records"].topic == google_pubsub_topic.dead_letters["records"].id
    error_message = "Pub/Sub's account publishes dead letters."
  }

  assert {
    condition     = google_pubsub_subscription_iam_member.dead_letter_subscriber["records"].member == local.pubsub_agent && google_pubsub_subscription_iam_member.dead_letter_subscriber["records"].role == "roles/pubsub.subscriber" && google_pubsub_subscription_iam_member.dead_letter_subscriber["records"].subscription == google_pubsub_subscription.push["records"].id
    error_message = "Pub/Sub's account acknowledges what it forwarded."
  }
}

run "nothing_is_pushed_to_the_placeholder" {
  command = plan

  variables {
    first_image = "us-docker.pkg.dev/cloudrun/container/hello"
  }

  assert {
    condition     = length(google_pubsub_subscription.push["records"].push_config) == 0
    error_message = "It answers 200 to everything: what is pushed to it is lost."
  }
}

run "nothing_is_pushed_before_somebody_says_so" {
  command = plan

  variables {
    pushes = false
  }

  assert {
    condition     = length(google_pubsub_subscription.push["records"].push_config) == 0
    error_message = "An image of ours may be the newest revision while the sample still has the traffic."
  }

  assert {
    condition     = startswith(output.pushes, "off: ")
    error_message = "Somebody who wonders where messages are must be told."
  }
}

run "pushes_are_off_until_they_are_turned_on" {
  command = plan

  variables {
    pushes = null
  }

  assert {
    condition     = var.pushes == false
    error_message = "A new system begins with the sample."
  }
}

run "dead_letters_are_kept_for_a_week_at_least" {
  command         = plan
  expect_failures = [var.dead_letter_days]

  variables {
    dead_letter_days = 6
  }
}
