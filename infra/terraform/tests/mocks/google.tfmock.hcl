# Values that Google would fill in, so that assertions can tell one account from another.

override_resource {
  target = google_service_account.service["main"]
  values = {
    name   = "projects/my-project/serviceAccounts/service@my-project.iam.gserviceaccount.com"
    email  = "service@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:service@my-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.service["ingest"]
  values = {
    name   = "projects/my-project/serviceAccounts/ingest@my-project.iam.gserviceaccount.com"
    email  = "ingest@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:ingest@my-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.push
  values = {
    name   = "projects/my-project/serviceAccounts/push@my-project.iam.gserviceaccount.com"
    email  = "push@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:push@my-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.deploy
  values = {
    name   = "projects/my-project/serviceAccounts/deploy@my-project.iam.gserviceaccount.com"
    email  = "deploy@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:deploy@my-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_cloud_run_v2_service.main["main"]
  values = { uri = "https://sluice.example.run.app" }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = { name = "projects/my-project/notificationChannels/1" }
}

override_resource {
  target = google_monitoring_notification_channel.email["team@example.com"]
  values = { name = "projects/my-project/notificationChannels/2" }
}

mock_resource "google_pubsub_topic" {
  defaults = { id = "projects/my-project/topics/some" }
}

override_resource {
  target = google_cloud_run_v2_service.main["ingest"]
  values = { uri = "https://sluice-ingest.example.run.app" }
}

override_resource {
  target = google_artifact_registry_repository.images
  values = { name = "sluice-images" }
}

override_resource {
  target = google_secret_manager_secret.grants
  values = { id = "projects/my-project/secrets/sluice-grants" }
}

override_resource {
  target = google_secret_manager_secret.signing
  values = { id = "projects/my-project/secrets/sluice-signing" }
}

override_resource {
  target = google_secret_manager_secret.pii
  values = { id = "projects/my-project/secrets/sluice-pii" }
}

override_resource {
  target = google_pubsub_topic.dead_letters["records"]
  values = { id = "projects/my-project/topics/sluice-dead-letters" }
}

override_resource {
  target = google_pubsub_subscription.push["records"]
  values = { id = "projects/my-project/subscriptions/sluice-push" }
}

# A second stream (tests/streams.tftest.hcl).

override_resource {
  target = google_pubsub_topic.main["payments"]
  values = { id = "projects/my-project/topics/sluice.payments" }
}

override_resource {
  target = google_pubsub_topic.dead_letters["payments"]
  values = { id = "projects/my-project/topics/sluice-dead-letters.payments" }
}

override_resource {
  target = google_pubsub_subscription.push["payments"]
  values = { id = "projects/my-project/subscriptions/sluice-push.payments" }
}

override_resource {
  target = google_pubsub_subscription.dead_letters["payments"]
  values = { id = "projects/my-project/subscriptions/sluice-dead-letters.payments" }
}

override_resource {
  target = google_pubsub_schema.main["records"]
  values = { id = "projects/my-project/schemas/sluice" }
}

override_resource {
  target = google_pubsub_schema.main["payments"]
  values = { id = "projects/my-project/schemas/sluice.payments" }
}

override_resource {
  target = google_memorystore_instance.cache
  values = {
    managed_server_ca = [{ ca_certs = [{ certificates = ["-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----", "another"] }] }]
    endpoints = [{
      connections = [
        { psc_auto_connection = [{ connection_type = "CONNECTION_TYPE_READER", ip_address = "10.8.0.9", port = 6379, forwarding_rule = "", network = "", project_id = "", psc_connection_id = "", service_attachment = "" }] },
        { psc_auto_connection = [{ connection_type = "CONNECTION_TYPE_PRIMARY", ip_address = "10.8.0.3", port = 6379, forwarding_rule = "", network = "", project_id = "", psc_connection_id = "", service_attachment = "" }] },
      ]
    }]
  }
}

override_resource {
  target = google_secret_manager_secret.cache
  values = { id = "projects/my-project/secrets/sluice-cache" }
}

override_resource {
  target = google_secret_manager_secret_version.cache
  values = { version = "1" }
}
