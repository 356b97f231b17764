# The topic, the push subscription, and where messages go that an outage outlasted.

resource "google_pubsub_topic" "records" {
  name   = var.system
  labels = local.labels

  dynamic "schema_settings" {
    for_each = google_pubsub_schema.records
    content {
      schema   = schema_settings.value.id
      encoding = var.topic_schema.encoding
    }
  }

  dynamic "message_storage_policy" {
    for_each = length(var.allowed_persistence_regions) > 0 ? [1] : []
    content {
      allowed_persistence_regions = var.allowed_persistence_regions
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_pubsub_schema" "records" {
  count = var.topic_schema == null ? 0 : 1

  name       = var.system
  type       = var.topic_schema.type
  definition = var.topic_schema.definition

  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.publishers

  topic  = google_pubsub_topic.records.id
  role   = "roles/pubsub.publisher"
  member = each.key
}

locals {
  # Google's sample image answers every POST with 200, and Pub/Sub would take that for "stored": records would be lost.
  # So pushes begin when somebody says that a revision of ours has all the traffic, which Terraform cannot see: the
  # service's template is that of the newest revision, whoever has the traffic. Until then messages wait in the
  # subscription. That the template is not the sample's is a second condition, not the proof.
  runs_placeholder = can(regex(local.sample_image, google_cloud_run_v2_service.main[local.ingest_key].template[0].containers[0].image))
  push_enabled     = var.pushes && !local.runs_placeholder
}

resource "google_pubsub_subscription" "push" {
  name   = local.push_subscription
  topic  = google_pubsub_topic.records.id
  labels = local.labels

  ack_deadline_seconds       = local.clocks.ack_deadline_s
  message_retention_duration = "${var.unacked_days * 86400}s"
  deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"

  # Never: a subscription that expired in a quiet month would take its messages with it.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "${local.clocks.retry_backoff_min_s}s"
    maximum_backoff = "${local.clocks.retry_backoff_max_s}s"
  }

  # Records that cannot be stored are kept among the rejects and acknowledged; what goes here was refused a hundred
  # times, some 16 hours long.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }

  dynamic "push_config" {
    for_each = local.push_enabled ? [1] : []
    content {
      push_endpoint = "${google_cloud_run_v2_service.main[local.ingest_key].uri}/pubsub/push"

      oidc_token {
        service_account_email = google_service_account.push.email
        audience              = local.push_audience
      }
    }
  }

  # Without these roles dead letters are not forwarded, and pushes carry no token.
  depends_on = [google_pubsub_topic_iam_member.dead_letter_publisher, google_service_account_iam_member.push_token]
}

# Who pushes. It may do that and nothing else: the service refuses it everything but pushes, and it has no role.
resource "google_service_account" "push" {
  account_id   = "${var.system}-push"
  display_name = "Pushes of ${var.system}: what Pub/Sub shows the service"
}

resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent

  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic" "dead_letters" {
  name   = "${var.system}-dead-letters"
  labels = local.labels

  depends_on = [google_project_service.used]
}

# A topic keeps nothing by itself: this is what keeps dead letters until somebody looks (python -m dev redrive).
resource "google_pubsub_subscription" "dead_letters" {
  name   = local.dead_letter_subscription
  topic  = google_pubsub_topic.dead_letters.id
  labels = local.labels

  ack_deadline_seconds       = 600 # whoever takes them needs time to publish them anew
  message_retention_duration = "${var.dead_letter_days * 86400}s"
  deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub forwards by its own account: it publishes there, and acknowledges here.
resource "google_pubsub_topic_iam_member" "dead_letter_publisher" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letter_subscriber" {
  subscription = google_pubsub_subscription.push.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
