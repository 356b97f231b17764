# For each stream its topic, its push subscription, and where messages go that an outage outlasted.

resource "google_pubsub_topic" "main" {
  for_each = local.own_topics

  name   = "${var.system}${each.value.suffix}"
  labels = local.labels

  dynamic "schema_settings" {
    for_each = each.value.topic_schema[*]
    content {
      schema   = google_pubsub_schema.main[each.key].id
      encoding = schema_settings.value.encoding
    }
  }

  dynamic "message_storage_policy" {
    for_each = local.persistence_regions
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_pubsub_schema" "main" {
  for_each = { for name, stream in local.own_topics : name => stream if stream.topic_schema != null }

  name       = "${var.system}${each.value.suffix}"
  type       = each.value.topic_schema.type
  definition = each.value.topic_schema.definition

  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge([
    for name, stream in local.own_topics : {
      for member in stream.publishers : "${stream.prefix}${member}" => { stream = name, member = member }
    }
  ]...)

  topic  = google_pubsub_topic.main[each.value.stream].id
  role   = "roles/pubsub.publisher"
  member = each.value.member
}

locals {
  # Without a policy a message is kept in the region where it is published.
  persistence_regions = [for regions in [var.allowed_persistence_regions == null ? toset([var.region]) : var.allowed_persistence_regions] : regions if length(regions) > 0]

  # Google's sample image answers every POST with 200, and Pub/Sub would take that for "stored": records would be lost.
  # So pushes begin when somebody says that a revision of ours has all the traffic, which Terraform cannot see: the
  # service's template is that of the newest revision, whoever has the traffic. Until then messages wait in the
  # subscription. That the template is not the sample's is a second condition, not the proof.
  runs_placeholder = can(regex(local.sample_image, google_cloud_run_v2_service.main[local.ingest_key].template[0].containers[0].image))
  push_enabled     = var.pushes && !local.runs_placeholder
}

resource "google_pubsub_subscription" "push" {
  for_each = local.streams

  name   = "${var.system}-push${each.value.suffix}"
  topic  = local.topic_ids[each.key]
  filter = each.value.filter
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
    dead_letter_topic     = google_pubsub_topic.dead_letters[each.key].id
    max_delivery_attempts = 100
  }

  dynamic "push_config" {
    for_each = local.push_enabled && each.value.pushes ? [1] : []
    content {
      push_endpoint = "${google_cloud_run_v2_service.main[local.ingest_key].uri}${each.value.push_path}"

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
  for_each = local.streams

  name   = "${var.system}-dead-letters${each.value.suffix}"
  labels = local.labels

  dynamic "message_storage_policy" {
    for_each = local.persistence_regions
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }

  depends_on = [google_project_service.used]
}

# A topic keeps nothing by itself: this is what keeps dead letters until somebody looks (sluice redrive).
resource "google_pubsub_subscription" "dead_letters" {
  for_each = local.streams

  name   = "${var.system}-dead-letters${each.value.suffix}"
  topic  = google_pubsub_topic.dead_letters[each.key].id
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
  for_each = google_pubsub_topic.dead_letters

  topic  = each.value.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letter_subscriber" {
  for_each = google_pubsub_subscription.push

  subscription = each.value.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
