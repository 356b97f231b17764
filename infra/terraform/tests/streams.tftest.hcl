# Several streams in one deployment: what each has of its own, and what they share.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = random_password.heartbeat
  override_during = plan
  values          = { result = "made at random" }
}

variables {
  streams_module = "shop.streams:STREAMS"
  streams = {
    records  = {}
    payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id", retention_days = 30 }
  }
}

run "each_stream_has_a_table_of_its_own" {
  command = plan

  assert {
    condition     = { for name, table in google_bigquery_table.main : name => table.clustering[0] } == { _erasures = "ingest_time", _instances = "ingest_time", records = "ingest_time", payments = "ingest_time", records_rejected = "ingest_time" }
    error_message = "Each is named as its stream; there is one table of rejects."
  }

  assert {
    condition     = { for name, table in google_bigquery_table.main : name => table.time_partitioning[0].expiration_ms / 86400000 } == { _erasures = 400, _instances = 1, records = 400, payments = 30, records_rejected = 30 }
    error_message = "Each is kept as long as it says, or else as a single type."
  }

  assert {
    condition     = jsondecode(google_bigquery_table.main["payments"].schema) == jsondecode(file("tests/payments.schema.json")) && jsondecode(google_bigquery_table.main["records"].schema) == jsondecode(file("table.schema.json"))
    error_message = "Each has the columns of its own type."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.main : table.deletion_protection && table.require_partition_filter && table.time_partitioning[0].type == "HOUR" && table.time_partitioning[0].field == "ingest_time"])
    error_message = "Each is protected, and partitioned as the service expects."
  }

  assert {
    condition     = { for name, routine in google_bigquery_routine.between : name => routine.routine_id } == { records = "records_between", payments = "payments_between" } && strcontains(google_bigquery_routine.between["payments"].definition_body, "FROM `my-project.sluice.payments`")
    error_message = "Each has a table function, which reads its own table."
  }
}

run "a_stream_may_have_no_id" {
  command = plan

  variables {
    streams = { records = {}, visits = { schema_file = "table.schema.json" }, payments = { schema_file = "tests/payments.schema.json", record_id = "" } }
  }

  assert {
    condition     = keys(google_bigquery_table_iam_member.deploy_index) == ["records", "visits"] && keys(google_bigquery_routine.state) == ["records", "visits"]
    error_message = "There is nothing to look up by, nothing to index, and no state."
  }
}

run "each_stream_is_pushed_to_its_own_path" {
  command = plan

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.push : subscription.name => subscription.push_config[0].push_endpoint } == { sluice-push = "https://sluice.example.run.app/pubsub/push/records", "sluice-push.payments" = "https://sluice.example.run.app/pubsub/push/payments" }
    error_message = "The path decides which stream a message belongs to."
  }

  assert {
    condition     = { for name, topic in google_pubsub_topic.main : name => topic.name } == { records = "sluice", payments = "sluice.payments" } && google_pubsub_subscription.push["payments"].topic == "projects/my-project/topics/sluice.payments"
    error_message = "Each has a topic of its own; records keeps that of a single type."
  }

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.push : subscription.push_config[0].oidc_token[0].service_account_email == google_service_account.push.email && subscription.push_config[0].oidc_token[0].audience == local.push_audience && subscription.deletion_policy == "PREVENT" && subscription.filter == null])
    error_message = "Each push carries the token, no subscription is deleted, and none drops messages unasked."
  }
}

run "each_stream_has_dead_letters_of_its_own" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.push["payments"].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead_letters["payments"].id && google_pubsub_subscription.dead_letters["payments"].topic == google_pubsub_topic.dead_letters["payments"].id && google_pubsub_topic.dead_letters["payments"].id != google_pubsub_topic.dead_letters["records"].id
    error_message = "They are published again to the topic that they came from, so they are kept apart."
  }

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.dead_letters : name => "${subscription.name} ${subscription.message_retention_duration}" } == { records = "sluice-dead-letters 2678400s", payments = "sluice-dead-letters.payments 2678400s" }
    error_message = "Each is kept for 31 days."
  }

  assert {
    condition     = { for name, grant in google_pubsub_topic_iam_member.dead_letter_publisher : name => grant.topic } == { for name, topic in google_pubsub_topic.dead_letters : name => topic.id } && { for name, grant in google_pubsub_subscription_iam_member.dead_letter_subscriber : name => grant.subscription } == { for name, subscription in google_pubsub_subscription.push : name => subscription.id }
    error_message = "Pub/Sub's account may forward those of each."
  }
}

run "a_shared_topic_is_divided_by_filters" {
  command = plan

  variables {
    heartbeat = null
    streams = {
      records  = { filter = "NOT attributes.stream = \"payments\"" }
      payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id", topic = "records", filter = "attributes.stream = \"payments\"" }
      visits   = { schema_file = "table.schema.json", topic = "projects/web/topics/visits" }
    }
  }

  assert {
    condition     = keys(google_pubsub_topic.main) == ["records"] && output.topics == { records = google_pubsub_topic.main["records"].id, payments = google_pubsub_topic.main["records"].id, visits = "projects/web/topics/visits" }
    error_message = "A topic that exists is not made again."
  }

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.push : name => subscription.topic } == output.topics && google_pubsub_subscription.push["payments"].filter == "attributes.stream = \"payments\"" && google_pubsub_subscription.push["visits"].filter == null
    error_message = "Each subscription is of its stream's topic, and takes its stream's messages."
  }
}

run "publishers_are_those_of_the_topic" {
  command = plan

  variables {
    publishers = ["serviceAccount:shop@my-project.iam.gserviceaccount.com"]
    streams = {
      records  = {}
      visits   = { schema_file = "table.schema.json" }
      payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id", publishers = ["serviceAccount:bank@my-project.iam.gserviceaccount.com"] }
    }
  }

  assert {
    condition = { for key, grant in google_pubsub_topic_iam_member.publisher : key => grant.member } == {
      "serviceAccount:shop@my-project.iam.gserviceaccount.com"          = "serviceAccount:shop@my-project.iam.gserviceaccount.com"
      "visits serviceAccount:shop@my-project.iam.gserviceaccount.com"   = "serviceAccount:shop@my-project.iam.gserviceaccount.com"
      "payments serviceAccount:bank@my-project.iam.gserviceaccount.com" = "serviceAccount:bank@my-project.iam.gserviceaccount.com"
    }
    error_message = "Whoever publishes payments is said there; otherwise it is as for a single type."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.publisher["payments serviceAccount:bank@my-project.iam.gserviceaccount.com"].topic == google_pubsub_topic.main["payments"].id
    error_message = "They publish to that topic."
  }
}

run "a_topic_schema_is_of_one_stream" {
  command = plan

  variables {
    topic_schema = { type = "PROTOCOL_BUFFER", definition = "message R {}" }
    streams = {
      records  = {}
      visits   = { schema_file = "table.schema.json" }
      payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id", topic_schema = { type = "AVRO", definition = "{}" } }
    }
  }

  assert {
    condition     = { for name, schema in google_pubsub_schema.main : "${name} ${schema.name}" => schema.type } == { "records sluice" = "PROTOCOL_BUFFER", "payments sluice.payments" = "AVRO" }
    error_message = "The single type's schema stays with records; no other stream gets it."
  }

  assert {
    condition     = google_pubsub_topic.main["payments"].schema_settings[0].schema == "projects/my-project/schemas/sluice.payments" && length(google_pubsub_topic.main["visits"].schema_settings) == 0
    error_message = "Each topic has its own."
  }
}

run "the_service_is_told_of_the_streams" {
  command = plan

  assert {
    condition     = local.env["main"]["SLUICE_STREAMS"] == "shop.streams:STREAMS" && !contains(keys(local.env["main"]), "SLUICE_RECORD")
    error_message = "It refuses to start with both."
  }
}

run "a_single_type_is_told_as_before" {
  command = plan

  variables {
    streams_module = ""
    streams        = {}
  }

  assert {
    condition     = try(local.env["main"]["SLUICE_RECORD"], "") == "app.record:Record" && !contains(keys(local.env["main"]), "SLUICE_STREAMS")
    error_message = "Another setting would make a revision."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.main["backlog"].conditions[0].condition_prometheus_query_language[0].query, "\"(sluice)-push\"") && strcontains(google_logging_project_exclusion.pushes.filter, "\"/pubsub/push$\"")
    error_message = "What watches a single type does not change."
  }
}

run "the_service_may_append_to_each_table" {
  command = plan

  variables {
    services = "two"
  }

  assert {
    condition = toset([for grant in google_bigquery_table_iam_member.service : "${grant.member} ${grant.table_id} ${grant.role}"]) == toset(flatten([for table in ["_erasures", "_instances", "records", "payments", "records_rejected"] : [
      "${google_service_account.service["ingest"].member} ${table} roles/bigquery.dataEditor",
      "${google_service_account.service["main"].member} ${table} roles/bigquery.dataViewer",
    ]]))
    error_message = "One appends to all of them, the other reads all of them."
  }
}

run "every_stream_is_watched" {
  command = plan

  assert {
    condition     = length(regexall("\"\\(sluice\\)-push\\(\\[[.]\\]\\[a-z0-9_\\]\\+\\)[?]\"", google_monitoring_alert_policy.main["backlog"].conditions[0].condition_prometheus_query_language[0].query)) == 2
    error_message = "A backlog of any stream is noticed."
  }

  assert {
    condition     = alltrue([for subscription in concat(values(google_pubsub_subscription.push), values(google_pubsub_subscription.dead_letters)) : can(regex("^(${local.placeholders.push_subscriptions}|${local.placeholders.dead_letter_subscriptions})$", subscription.name))]) && alltrue([for topic in google_pubsub_topic.main : can(regex("^${local.placeholders.topics}$", topic.name))])
    error_message = "The names of all streams are those that are looked for."
  }

  assert {
    condition     = !can(regex("^${local.placeholders.push_subscriptions}$", "sluice-orders-push")) && !can(regex("^${local.placeholders.topics}$", "sluice-orders"))
    error_message = "Another system's are not among them."
  }

  assert {
    condition     = can(regex(regex("requestUrl=~\"([^\"]*)\"", google_logging_project_exclusion.pushes.filter)[0], "https://sluice.example.run.app/pubsub/push/payments"))
    error_message = "Good pushes of any stream are not logged."
  }
}

run "another_systems_streams_are_watched" {
  command = plan

  variables {
    streams_module  = ""
    streams         = {}
    watched_systems = ["sluice", "shop"]
  }

  assert {
    condition     = can(regex("^${local.placeholders.dead_letter_subscriptions}$", "shop-dead-letters.payments"))
    error_message = "Which streams it has is not known here."
  }
}

run "canaries_go_to_the_default_stream" {
  command = plan

  variables {
    heartbeat        = "{\"payment_id\":\"heartbeat\"}"
    heartbeat_stream = "payments"
  }

  assert {
    condition     = google_cloud_scheduler_job.heartbeat[0].pubsub_target[0].topic_name == google_pubsub_topic.main["payments"].id
    error_message = "The service measures those of no other."
  }

  assert {
    condition     = output.topic == google_pubsub_topic.main["payments"].id && output.push_subscription == google_pubsub_subscription.push["payments"].id && output.dead_letter_subscription == google_pubsub_subscription.dead_letters["payments"].id
    error_message = "What is said of one stream is said of that one."
  }

  assert {
    condition     = strcontains(output.first_message, "publish ${google_pubsub_topic.main["payments"].id} --message='{\"payment_id\":\"heartbeat\"}'") && strcontains(output.first_message, "/v1/streams/payments/records?since=") && strcontains(output.first_message, "`my-project.sluice.payments_recent`")
    error_message = "The first message is a record of that stream, and is looked for there."
  }
}

run "streams_need_no_stream_called_records" {
  command = plan

  variables {
    heartbeat = null
    streams   = { payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id" } }
  }

  assert {
    condition     = keys(google_bigquery_table.main) == ["_erasures", "_instances", "payments", "records_rejected"] && keys(google_pubsub_topic.main) == ["payments"] && output.push_subscriptions == { payments = "projects/my-project/subscriptions/sluice-push.payments" } && keys(output.dead_letter_subscriptions) == ["payments"] && output.topic == output.topics["payments"]
    error_message = "A new system has its own names."
  }
}

run "a_stream_waits_for_its_image" {
  command = plan

  variables {
    streams = { records = {}, payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id", pushes = false } }
  }

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.push : name => length(subscription.push_config) } == { records = 1, payments = 0 }
    error_message = "An image that does not know the stream would reject its messages."
  }
}

run "a_stream_that_waits_raises_no_alert" {
  command = plan

  variables {
    streams = { records = {}, payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id", pushes = false } }
  }

  assert {
    condition     = google_monitoring_alert_policy.main["backlog"].enabled && strcontains(google_monitoring_alert_policy.main["backlog"].conditions[0].condition_prometheus_query_language[0].query, "subscription_id!~\"(sluice-push[.]payments)\"")
    error_message = "Its messages wait on purpose; those of the others do not."
  }

  assert {
    condition     = [for name, subscription in google_pubsub_subscription.push : name if can(regex("^${local.placeholders.paused_subscriptions}$", subscription.name))] == ["payments"]
    error_message = "It is left out by the name of its subscription."
  }
}

run "no_alert_leaves_out_a_stream_that_is_pushed" {
  command = plan

  assert {
    condition     = length([for subscription in google_pubsub_subscription.push : subscription if can(regex("^${local.placeholders.paused_subscriptions}$", subscription.name))]) == 0
    error_message = "Nothing waits on purpose."
  }
}

run "a_system_that_waits_leaves_the_others_watched" {
  command = plan

  variables {
    pushes          = false
    watched_systems = ["sluice", "shop"]
  }

  assert {
    condition     = google_monitoring_alert_policy.main["backlog"].enabled && alltrue([for subscription in google_pubsub_subscription.push : can(regex("^${local.placeholders.paused_subscriptions}$", subscription.name))]) && !can(regex("^${local.placeholders.paused_subscriptions}$", "shop-push"))
    error_message = "Only this system's messages wait on purpose."
  }
}

run "more_connections_than_a_region_takes_are_refused" {
  command         = plan
  expect_failures = [google_cloud_run_v2_service.main["main"]]

  variables {
    location  = "europe-west1"
    instances = { min = 1, max = 77 } # 77 instances, 3 tables of 4 connections and 1 of watermarks: 1,001
  }
}

run "as_many_connections_as_a_region_takes_are_not" {
  command = plan

  variables {
    location  = "europe-west1"
    instances = { min = 1, max = 76 }
  }

  assert {
    condition     = local.connections == 988 && local.connection_quota == 1000
    error_message = "Of 76 instances to the tables of two streams and of the rejects, 4 each, and of watermarks."
  }
}

run "a_multi_region_takes_ten_times_as_many" {
  command = plan

  variables {
    location = "EU"
  }

  assert {
    condition     = local.connection_quota == 10000
    error_message = "EU and US have quotas of their own."
  }
}

run "a_quota_that_was_raised_counts" {
  command = plan

  variables {
    location           = "europe-west1"
    append_connections = 5000
  }

  assert {
    condition     = local.connection_quota == 5000
    error_message = "What Google granted is what fits."
  }
}

run "the_instances_that_ingest_are_counted" {
  command = plan

  variables {
    location    = "europe-west1"
    services    = "two"
    instances   = { min = 1, max = 50 }
    ingest_size = { instances = { min = 1, max = 10 } }
  }

  assert {
    condition     = local.connections == 130
    error_message = "A service that only answers queries opens none."
  }
}

run "a_quota_of_nothing_is_refused" {
  command         = plan
  expect_failures = [var.append_connections]

  variables {
    append_connections = 0
  }
}

run "no_stream_is_pushed_to_the_sample" {
  command = plan

  variables {
    pushes = false
  }

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.push : length(subscription.push_config) == 0])
    error_message = "It answers 200 to everything: what is pushed to it is lost."
  }
}

run "a_name_that_is_no_path_is_refused" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = {}, web-visits = { schema_file = "table.schema.json" } }
  }
}

run "a_view_is_no_stream" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = {}, records_recent = { schema_file = "table.schema.json" } }
  }
}

run "the_table_of_rejects_is_no_stream" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = {}, records_rejected = { schema_file = "table.schema.json" } }
  }
}

run "streams_without_their_module_are_refused" {
  command         = plan
  expect_failures = [var.streams_module]

  variables {
    streams_module = ""
  }
}

run "a_module_without_streams_is_refused" {
  command         = plan
  expect_failures = [var.streams_module]

  variables {
    streams = {}
  }
}

run "a_stream_without_columns_is_refused" {
  command         = plan
  expect_failures = [google_bigquery_table.main["visits"]]

  variables {
    streams = { records = {}, visits = {} }
  }
}

run "columns_of_another_type_are_refused" {
  command         = plan
  expect_failures = [google_bigquery_table.main["payments"]]

  variables {
    streams = { records = {}, payments = { schema_file = "tests/payments.schema.json" } }
  }
}

run "partitions_of_a_stream_are_fewer_than_bigquery_takes" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = { retention_days = 417 } }
  }
}

run "an_unknown_topic_is_refused" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = {}, payments = { schema_file = "table.schema.json", topic = "orders" } }
  }
}

run "a_shared_topic_without_filters_is_refused" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = {}, payments = { schema_file = "table.schema.json", topic = "records", filter = "attributes.stream = \"payments\"" } }
  }
}

run "a_filter_that_is_too_long_is_refused" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = { filter = format("%-257s", "attributes:stream") } }
  }
}

run "publishers_of_a_topic_of_somebody_else_are_refused" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = {}, visits = { schema_file = "table.schema.json", topic = "projects/web/topics/visits", publishers = ["user:me@example.com"] } }
  }
}

run "everybody_may_not_publish_to_a_stream" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = { publishers = ["allUsers"] } }
  }
}

run "a_stream_in_another_encoding_than_the_service_reads_is_refused" {
  command         = plan
  expect_failures = [var.streams]

  variables {
    streams = { records = { topic_schema = { type = "AVRO", definition = "{}", encoding = "BINARY" } } }
  }
}

run "canaries_that_a_filter_would_drop_are_refused" {
  command         = plan
  expect_failures = [var.heartbeat_stream]

  variables {
    streams = { records = { filter = "attributes:stream" } }
  }
}

run "canaries_for_no_stream_are_refused" {
  command         = plan
  expect_failures = [var.heartbeat_stream]

  variables {
    streams = { payments = { schema_file = "tests/payments.schema.json", record_id = "payment_id" } }
  }
}
