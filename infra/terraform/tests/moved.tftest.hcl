# A system that was deployed before there were streams keeps what it has: with its single type, and with several streams.

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
  alias = "before"
}

mock_provider "random" {}

variables {
  publishers   = ["serviceAccount:shop@my-project.iam.gserviceaccount.com"]
  topic_schema = { type = "AVRO", definition = "{}" }
}

run "before" {
  command   = apply
  state_key = "deployed"

  module {
    source = "./tests/before_streams"
  }

  providers = {
    google = google.before
  }

  assert {
    condition     = output.names == { topic = "sluice", schema = "sluice", subscription = "sluice-push", dead_letter_topic = "sluice-dead-letters", dead_letters = "sluice-dead-letters", records = "records", rejects = "records_rejected", function = "records_between" }
    error_message = "That version used these names, and deployed systems have them."
  }
}

run "a_single_type_keeps_all_it_has" {
  command   = plan
  state_key = "deployed"

  assert {
    condition = {
      topic                  = google_pubsub_topic.main["records"].id
      schema                 = try(google_pubsub_schema.main["records"].id, "")
      publisher              = one([for grant in google_pubsub_topic_iam_member.publisher : grant.etag if grant.topic == google_pubsub_topic.main["records"].id])
      subscription           = google_pubsub_subscription.push["records"].id
      dead_letter_subscriber = google_pubsub_subscription_iam_member.dead_letter_subscriber["records"].etag
      dead_letter_topic      = google_pubsub_topic.dead_letters["records"].id
      dead_letter_publisher  = google_pubsub_topic_iam_member.dead_letter_publisher["records"].etag
      dead_letters           = google_pubsub_subscription.dead_letters["records"].id
      records                = google_bigquery_table.main["records"].self_link
      rejects                = google_bigquery_table.main["records_rejected"].self_link
      function               = google_bigquery_routine.between["records"].id
    } == run.before.made
    error_message = "What was made before would be destroyed, with its messages and rows."
  }
}

run "several_streams_destroy_nothing" {
  command   = plan
  state_key = "deployed"

  variables {
    streams_module = "shop.streams:STREAMS"
    streams        = { records = {}, payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id" } }
  }

  assert {
    condition = {
      topic                  = google_pubsub_topic.main["records"].id
      schema                 = try(google_pubsub_schema.main["records"].id, "")
      publisher              = one([for grant in google_pubsub_topic_iam_member.publisher : grant.etag if grant.topic == google_pubsub_topic.main["records"].id])
      subscription           = google_pubsub_subscription.push["records"].id
      dead_letter_subscriber = google_pubsub_subscription_iam_member.dead_letter_subscriber["records"].etag
      dead_letter_topic      = google_pubsub_topic.dead_letters["records"].id
      dead_letter_publisher  = google_pubsub_topic_iam_member.dead_letter_publisher["records"].etag
      dead_letters           = google_pubsub_subscription.dead_letters["records"].id
      records                = google_bigquery_table.main["records"].self_link
      rejects                = google_bigquery_table.main["records_rejected"].self_link
      function               = google_bigquery_routine.between["records"].id
    } == run.before.made
    error_message = "What was made before would be destroyed, with its messages and rows."
  }

  assert {
    condition = {
      topic             = google_pubsub_topic.main["records"].name
      schema            = try(google_pubsub_schema.main["records"].name, "")
      subscription      = google_pubsub_subscription.push["records"].name
      dead_letter_topic = google_pubsub_topic.dead_letters["records"].name
      dead_letters      = google_pubsub_subscription.dead_letters["records"].name
      records           = google_bigquery_table.main["records"].table_id
      rejects           = google_bigquery_table.main["records_rejected"].table_id
      function          = google_bigquery_routine.between["records"].routine_id
    } == run.before.names
    error_message = "Under another name Google would make another one."
  }

  assert {
    condition     = google_pubsub_subscription.push["records"].topic == google_pubsub_topic.main["records"].id && google_pubsub_subscription.push["records"].filter == null
    error_message = "A subscription of another topic, or with a filter, would be another subscription."
  }
}
