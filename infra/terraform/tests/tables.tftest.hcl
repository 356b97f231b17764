# The tables: protected, partitioned by the hour, and read by stretches of time only.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

run "tables_are_protected" {
  command = plan

  assert {
    condition     = toset(keys(google_bigquery_table.main)) == toset(["_erasures", "_instances", "records", "records_rejected"])
    error_message = "The service knows three tables."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.main : table.deletion_protection])
    error_message = "Terraform must not delete a table."
  }

  assert {
    condition     = google_bigquery_dataset.main.delete_contents_on_destroy == false && google_bigquery_dataset.main.deletion_policy == "PREVENT"
    error_message = "Terraform must not delete the dataset, nor what is in it."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.main : table.require_partition_filter])
    error_message = "A query that names no stretch of time reads, and bills, all of it."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.main : table.time_partitioning[0].type == "HOUR" && table.time_partitioning[0].field == "ingest_time"])
    error_message = "Partitions are hours of ingest_time."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.main : table.clustering == tolist(["ingest_time"])])
    error_message = "Clustered by anything else, a read of a minute bills its hour."
  }

  assert {
    condition     = jsondecode(google_bigquery_table.main["records"].schema) == jsondecode(file("table.schema.json")) && jsondecode(google_bigquery_table.main["records_rejected"].schema) == jsondecode(file("rejects.schema.json"))
    error_message = "The columns are those derived from the record type."
  }
}

run "protection_can_be_taken_off_for_a_tear_down" {
  command = plan

  variables {
    deletion_protection = false
  }

  assert {
    condition     = !anytrue([for table in google_bigquery_table.main : table.deletion_protection]) && google_bigquery_dataset.main.deletion_policy == "DELETE" && google_pubsub_subscription.push["records"].deletion_policy == "DELETE" && !google_cloud_run_v2_service.main["main"].deletion_protection && !google_secret_manager_secret.grants.deletion_protection
    error_message = "One variable takes all of it off."
  }
}

run "whoever_deploys_indexes_the_ids" {
  command = plan

  assert {
    condition     = keys(google_bigquery_table_iam_member.deploy_index) == ["records"] && google_bigquery_table_iam_member.deploy_index["records"].table_id == "records" && google_bigquery_table_iam_member.deploy_index["records"].role == "roles/bigquery.dataEditor" && google_bigquery_table_iam_member.deploy_index["records"].member == google_service_account.deploy.member
    error_message = "Of records, and not of rejects, which have no id."
  }

  assert {
    condition     = google_project_iam_member.deploy_index[0].role == "roles/bigquery.jobUser" && google_project_iam_member.deploy_index[0].member == google_service_account.deploy.member
    error_message = "The statement is a query of the project."
  }

  assert {
    condition     = local.env["main"]["SLUICE_ID_INDEX"] == "true"
    error_message = "The service relies on the index."
  }
}

run "the_index_may_be_left_out" {
  command = plan

  variables {
    id_index = false
  }

  assert {
    condition     = length(google_bigquery_table_iam_member.deploy_index) + length(google_project_iam_member.deploy_index) == 0 && local.env["main"]["SLUICE_ID_INDEX"] == "false"
    error_message = "Then the service must not rely on it, and nobody needs the rights to make it."
  }
}

run "a_type_without_an_id_has_no_index" {
  command = plan

  variables {
    record_id   = ""
    record_type = "orders:Order"
  }

  assert {
    condition     = length(google_bigquery_table_iam_member.deploy_index) == 0
    error_message = "There is nothing to look up by."
  }

  assert {
    condition     = local.env["main"]["SLUICE_RECORD"] == "orders:Order"
    error_message = "The service stores the type that the table is for."
  }
}

run "watermarks_have_a_table" {
  command = plan

  assert {
    condition     = keys(google_bigquery_table.main) == ["_erasures", "_instances", "records", "records_rejected"] && jsondecode(google_bigquery_table.main["_instances"].schema) == jsondecode(file("instances.schema.json"))
    error_message = "Its columns are the service's own."
  }

  assert {
    condition     = google_bigquery_table.main["_instances"].time_partitioning[0].expiration_ms == 86400000
    error_message = "Nobody reads a watermark that is a day old."
  }

  assert {
    condition     = google_bigquery_table_iam_member.service["_instances"].role == "roles/bigquery.dataEditor" && !contains(keys(google_bigquery_routine.between), "_instances")
    error_message = "The service writes it, and it is no stream."
  }

  assert {
    condition     = local.connections == var.instances.max * 9
    error_message = "Each instance has a connection for it."
  }
}

run "the_function_reads_each_delivery_once" {
  command = plan

  assert {
    condition     = google_bigquery_routine.between["records"].routine_type == "TABLE_VALUED_FUNCTION" && google_bigquery_routine.between["records"].arguments[*].name == tolist(["since", "until"])
    error_message = "records_between(since, until) is a table function."
  }

  assert {
    condition     = strcontains(google_bigquery_routine.between["records"].definition_body, "FROM `my-project.sluice.records`") && strcontains(google_bigquery_routine.between["records"].definition_body, "INTERVAL ${local.env["main"]["SLUICE_DEDUPE_LOOKBACK_S"]} SECOND")
    error_message = "It reads the table, as far back as copies may lie."
  }
}

run "the_state_is_the_latest_version_of_each_record" {
  command = plan

  variables {
    record_sequence = "message_index"
    record_deleted  = "source"
  }

  assert {
    condition     = google_bigquery_routine.state["records"].routine_id == "records_state" && google_bigquery_routine.state["records"].routine_type == "TABLE_VALUED_FUNCTION" && google_bigquery_routine.state["records"].arguments[*].name == tolist(["as_of"])
    error_message = "records_state(as_of) is a table function."
  }

  assert {
    condition     = strcontains(google_bigquery_routine.state["records"].definition_body, "PARTITION BY `id` ORDER BY `message_index` DESC, `ingest_time` DESC, `delivery_key` DESC") && strcontains(google_bigquery_routine.state["records"].definition_body, "WHERE `source` IS NOT TRUE")
    error_message = "The columns with the roles say which version is the latest, and whether it is a tombstone."
  }

  assert {
    condition     = strcontains(google_bigquery_routine.state["records"].definition_body, "FROM `my-project.sluice.records`") && strcontains(google_bigquery_routine.state["records"].definition_body, "INTERVAL ${google_bigquery_table.main["records"].time_partitioning[0].expiration_ms / 3600000 - 1} HOUR")
    error_message = "It reads whatever its table keeps."
  }
}

run "columns_with_roles_are_there" {
  command         = plan
  expect_failures = [google_bigquery_table.main["records"]]

  variables {
    record_sequence = "version"
  }
}

run "everything_of_the_last_week_can_be_selected" {
  command = plan

  assert {
    condition     = google_bigquery_table.recent["records"].table_id == "records_recent" && !google_bigquery_table.recent["records"].view[0].use_legacy_sql
    error_message = "SELECT * FROM sluice.records_recent."
  }

  assert {
    condition     = strcontains(google_bigquery_table.recent["records"].view[0].query, "FROM `my-project.sluice.records`\nWHERE ingest_time >= TIMESTAMP_SUB(TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY), INTERVAL 900 SECOND)\n  AND ingest_time < CURRENT_TIMESTAMP()")
    error_message = "The view names the partitions, so whoever selects from it need not."
  }
}

run "partitions_are_fewer_than_bigquery_takes" {
  command         = plan
  expect_failures = [var.retention_days]

  variables {
    retention_days = 417
  }
}

run "a_caller_keeps_its_own_columns" {
  command = plan

  variables {
    schema_folder  = "tests"
    streams_module = "shop.streams:STREAMS"
    streams        = { payments = { schema_file = "payments.schema.json", record_id = "" } }
    heartbeat      = null
  }

  assert {
    condition     = jsondecode(google_bigquery_table.main["payments"].schema) == jsondecode(file("tests/payments.schema.json")) && jsondecode(google_bigquery_table.main["records_rejected"].schema) == jsondecode(file("rejects.schema.json"))
    error_message = "A module's caller knows its record types; rejects are the module's."
  }
}
