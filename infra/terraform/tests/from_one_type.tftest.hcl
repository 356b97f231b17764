# A system with a single type gets several streams: what it has stays.

# What this makes is told from what was made before.
mock_provider "google" {
  override_during = plan

  mock_resource "google_pubsub_topic" {
    defaults = { id = "made again" }
  }

  mock_resource "google_pubsub_schema" {
    defaults = { id = "made again" }
  }

  mock_resource "google_pubsub_topic_iam_member" {
    defaults = { etag = "made again" }
  }

  mock_resource "google_pubsub_subscription" {
    defaults = { id = "made again" }
  }

  mock_resource "google_pubsub_subscription_iam_member" {
    defaults = { etag = "made again" }
  }

  mock_resource "google_bigquery_table" {
    defaults = { self_link = "made again" }
  }

  mock_resource "google_bigquery_routine" {
    defaults = { id = "made again" }
  }
}

mock_provider "google" {
  alias  = "before"
  source = "./tests/mocks"
}

provider "random" {}

variables {
  publishers   = ["serviceAccount:shop@my-project.iam.gserviceaccount.com"]
  topic_schema = { type = "AVRO", definition = "{}" }
}

run "a_single_type" {
  command = apply

  providers = {
    google = google.before
    random = random
  }

  # terraform test wants ephemeral variables to be said when it applies.
  variables {
    slack_token   = ""
    pagerduty_key = ""
  }

  assert {
    condition     = [for topic in google_pubsub_topic.main : topic.name] == ["sluice"] && google_bigquery_table.main["records"].table_id == "records"
    error_message = "It is the stream records, under the system's name."
  }
}

run "several_streams_destroy_nothing" {
  command = plan

  variables {
    streams_module = "shop.streams:STREAMS"
    streams        = { records = {}, payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id" } }
  }

  assert {
    condition = toset(["payments"]) == toset([for name, made in {
      for name in ["records", "payments"] : name => [
        google_pubsub_topic.main[name].id,
        google_pubsub_subscription.push[name].id,
        google_pubsub_subscription_iam_member.dead_letter_subscriber[name].etag,
        google_pubsub_topic.dead_letters[name].id,
        google_pubsub_topic_iam_member.dead_letter_publisher[name].etag,
        google_pubsub_subscription.dead_letters[name].id,
        google_bigquery_table.main[name].self_link,
        google_bigquery_routine.between[name].id,
      ]
    } : name if contains(made, "made again")])
    error_message = "What was made before would be destroyed, with its messages and rows."
  }

  assert {
    condition     = google_bigquery_table.main["records_rejected"].self_link != "made again" && try(google_pubsub_schema.main["records"].id, "made again") != "made again" && alltrue([for grant in google_pubsub_topic_iam_member.publisher : grant.etag != "made again" if grant.topic == google_pubsub_topic.main["records"].id])
    error_message = "So would the rejects, the topic's schema and who may publish."
  }

  assert {
    condition     = { for name in ["records"] : google_pubsub_topic.main[name].name => [try(google_pubsub_schema.main[name].name, ""), google_pubsub_subscription.push[name].name, google_pubsub_topic.dead_letters[name].name, google_pubsub_subscription.dead_letters[name].name, google_bigquery_table.main[name].table_id, google_bigquery_routine.between[name].routine_id] } == { sluice = ["sluice", "sluice-push", "sluice-dead-letters", "sluice-dead-letters", "records", "records_between"] }
    error_message = "Under another name Google would make another one."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].topic == google_pubsub_topic.main["records"].id && google_pubsub_subscription.push["records"].filter == null
    error_message = "A subscription of another topic, or with a filter, would be another subscription."
  }
}
