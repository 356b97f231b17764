# What the version before streams made of a single type, at its addresses and under its names: the resources that have
# another address since then, and the tables. tests/moved.tftest.hcl begins with the state of this.

terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

locals {
  agent = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "records" {
  name = "sluice"
}

resource "google_pubsub_schema" "records" {
  count = 1

  name       = "sluice"
  type       = "AVRO"
  definition = "{}"
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = toset(["serviceAccount:shop@my-project.iam.gserviceaccount.com"])

  topic  = google_pubsub_topic.records.id
  role   = "roles/pubsub.publisher"
  member = each.key
}

resource "google_pubsub_subscription" "push" {
  name  = "sluice-push"
  topic = google_pubsub_topic.records.id
}

resource "google_pubsub_subscription_iam_member" "dead_letter_subscriber" {
  subscription = google_pubsub_subscription.push.id
  role         = "roles/pubsub.subscriber"
  member       = local.agent
}

resource "google_pubsub_topic" "dead_letters" {
  name = "sluice-dead-letters"
}

resource "google_pubsub_topic_iam_member" "dead_letter_publisher" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = local.agent
}

resource "google_pubsub_subscription" "dead_letters" {
  name  = "sluice-dead-letters"
  topic = google_pubsub_topic.dead_letters.id
}

resource "google_bigquery_table" "main" {
  for_each = toset(["records", "records_rejected"])

  dataset_id = "sluice"
  table_id   = each.key
}

resource "google_bigquery_routine" "records_between" {
  dataset_id      = "sluice"
  routine_id      = "records_between"
  routine_type    = "TABLE_VALUED_FUNCTION"
  definition_body = "SELECT 1"
}

# What Google gave each when it was made: whatever is made again has another one. Then, names that cannot be changed.
output "made" {
  value = {
    topic                  = google_pubsub_topic.records.id
    schema                 = google_pubsub_schema.records[0].id
    publisher              = one(values(google_pubsub_topic_iam_member.publisher)).etag
    subscription           = google_pubsub_subscription.push.id
    dead_letter_subscriber = google_pubsub_subscription_iam_member.dead_letter_subscriber.etag
    dead_letter_topic      = google_pubsub_topic.dead_letters.id
    dead_letter_publisher  = google_pubsub_topic_iam_member.dead_letter_publisher.etag
    dead_letters           = google_pubsub_subscription.dead_letters.id
    records                = google_bigquery_table.main["records"].self_link
    rejects                = google_bigquery_table.main["records_rejected"].self_link
    function               = google_bigquery_routine.records_between.id
  }
}

output "names" {
  value = {
    topic             = google_pubsub_topic.records.name
    schema            = google_pubsub_schema.records[0].name
    subscription      = google_pubsub_subscription.push.name
    dead_letter_topic = google_pubsub_topic.dead_letters.name
    dead_letters      = google_pubsub_subscription.dead_letters.name
    records           = google_bigquery_table.main["records"].table_id
    rejects           = google_bigquery_table.main["records_rejected"].table_id
    function          = google_bigquery_routine.records_between.routine_id
  }
}
