"""Ways to break infra/terraform: topic, subscriptions and tables.

By the run that must notice: a file, what is taken out of it, and what is put there.
"""

from tests.terraform.mutation import mutations_of

MUTATIONS = [
    *mutations_of(
        "push",
        {
            "pushes_are_authenticated": [
                (
                    "pubsub.tf",
                    "service_account_email = google_service_account.push.email",
                    'service_account_email = google_service_account.service["main"].email',
                ),
                ("pubsub.tf", "audience              = local.push_audience", 'audience = "other"'),
                (
                    "pubsub.tf",
                    "      oidc_token {\n        service_account_email = google_service_account.push.email\n"
                    "        audience              = local.push_audience\n      }\n",
                    "",
                ),
                ("streams.tf", ': "/pubsub/push"', ': "/"'),
                ("names.tf", '"${var.project_id}/${var.system}/push"', '"sluice"'),
                (
                    "pubsub.tf",
                    "service_account_id = google_service_account.push.name",
                    'service_account_id = google_service_account.service["main"].name',
                ),
            ],
            "the_subscription_and_the_service_agree_on_the_clocks": [
                ("pubsub.tf", "ack_deadline_seconds       = local.clocks.ack_deadline_s", "ack_deadline_seconds = 30"),
                ("pubsub.tf", '"${local.clocks.retry_backoff_max_s}s"', '"300s"'),
                ("clocks.tf", "retry_backoff_min_s = 10 ", "retry_backoff_min_s = 1 "),
                ("clocks.tf", "= 900 #", "= 600 #"),
                ("clocks.tf", "= var.retention_days", "= 400"),
                ("bigquery.tf", "each.value.retention_days * 86400000", "400 * 86400000"),
                ("clocks.tf", "= 300 #", "= 240 #"),
            ],
            "what_is_not_taken_is_kept": [
                ("pubsub.tf", "max_delivery_attempts = 100", "max_delivery_attempts = 5"),
                (
                    "pubsub.tf",
                    "dead_letter_topic     = google_pubsub_topic.dead_letters[each.key].id",
                    "dead_letter_topic = local.topic_ids[each.key]",
                ),
                ("pubsub.tf", '"${var.dead_letter_days * 86400}s"', '"604800s"'),
                ("pubsub.tf", '"${var.unacked_days * 86400}s"', '"3600s"'),
                (
                    "pubsub.tf",
                    'expiration_policy {\n    ttl = ""\n  }\n\n  retry_policy',
                    'expiration_policy {\n    ttl = "2678400s"\n  }\n\n  retry_policy',
                ),
                (
                    "pubsub.tf",
                    'deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"\n\n  # Never',
                    'deletion_policy = "DELETE"\n\n  # Never',
                ),
                (
                    "pubsub.tf",
                    '"roles/pubsub.publisher"\n  member = local.pubsub_agent',
                    '"roles/pubsub.viewer"\n  member = local.pubsub_agent',
                ),
                ("pubsub.tf", '"roles/pubsub.subscriber"', '"roles/pubsub.viewer"'),
            ],
            "nothing_is_pushed_to_the_placeholder": [("pubsub.tf", " && !local.runs_placeholder", "")],
            "nothing_is_pushed_before_somebody_says_so": [
                ("pubsub.tf", "= var.pushes && ", "= "),
                ("outputs.tf", "local.push_enabled ?", "!local.runs_placeholder ?"),
            ],
            "pushes_are_off_until_they_are_turned_on": [
                (
                    "variables_service.tf",
                    'sample is sent is lost."\n  type        = bool\n  default     = false',
                    'sample is sent is lost."\n  type        = bool\n  default     = true',
                )
            ],
            "dead_letters_are_kept_for_a_week_at_least": [
                ("variables_data.tf", "var.dead_letter_days >= 7", "var.dead_letter_days >= 1")
            ],
        },
    ),
    *mutations_of(
        "tables",
        {
            "tables_are_protected": [
                ("bigquery.tf", "deletion_protection      = var.deletion_protection", "deletion_protection = false"),
                ("bigquery.tf", "delete_contents_on_destroy = false", "delete_contents_on_destroy = true"),
                ("bigquery.tf", 'var.deletion_protection ? "PREVENT" : "DELETE"', '"DELETE"'),
                ("bigquery.tf", "require_partition_filter = true", "require_partition_filter = false"),
                ("bigquery.tf", 'type          = "HOUR"', 'type          = "DAY"'),
                ("bigquery.tf", '= "ingest_time"', '= "publish_time"'),
                ("bigquery.tf", "clustering  = [local.partition_column]", 'clustering = ["delivery_key"]'),
                (
                    "bigquery.tf",
                    "file(each.value.schema)\n",
                    'file("${path.module}/table.schema.json")\n',
                ),
            ],
            "protection_can_be_taken_off_for_a_tear_down": [
                ("bigquery.tf", "deletion_protection      = var.deletion_protection", "deletion_protection = true")
            ],
            "whoever_deploys_indexes_the_ids": [
                ("deploy_identity.tf", "if var.id_index && length(table.id) > 0", "if var.id_index"),
                ("deploy_identity.tf", '"roles/bigquery.dataEditor"', '"roles/bigquery.dataViewer"'),
                ("deploy_identity.tf", '"roles/bigquery.jobUser"', '"roles/bigquery.admin"'),
                ("cloud_run.tf", "= tostring(var.id_index)", '= "false"'),
            ],
            "the_index_may_be_left_out": [
                ("deploy_identity.tf", "if var.id_index && length(table.id) > 0", "if length(table.id) > 0"),
                ("cloud_run.tf", "= tostring(var.id_index)", '= "true"'),
            ],
            "a_type_without_an_id_has_no_index": [
                ("bigquery.tf", 'stream.record_id == "" ? [] : [stream.record_id]', '["id"]'),
                ("cloud_run.tf", "= var.record_type", '= "app.record:Record"'),
            ],
            "a_caller_keeps_its_own_columns": [
                (
                    "bigquery.tf",
                    '"${coalesce(var.schema_folder, path.module)}/${stream.schema}"',
                    '"${path.module}/table.schema.json"',
                ),
                ("bigquery.tf", '"${path.module}/rejects.schema.json"', '"${path.module}/table.schema.json"'),
            ],
            "watermarks_have_a_table": [
                (
                    "bigquery.tf",
                    'schema         = "${path.module}/instances.schema.json"',
                    'schema         = "${path.module}/rejects.schema.json"',
                ),
                ("bigquery.tf", "retention_days = 1\n", "retention_days = 400\n"),
                ("cloud_run.tf", "= var.watermarks", '= "off"'),
                ("services.tf", '(var.watermarks == "off" ? 0 : 1)', "0"),
            ],
            "watermarks_are_off_unless_asked_for": [
                ("services.tf", '(var.watermarks == "off" ? 0 : 1)', "1"),
                (
                    "variables_data.tf",
                    '  type        = string\n  default     = "off"',
                    '  type        = string\n  default     = "read"',
                ),
            ],
            "watermarks_are_off_written_or_read": [
                ("variables_data.tf", '["off", "written", "read"]', '["off", "written", "read", "on"]')
            ],
            "the_function_reads_each_delivery_once": [
                ("bigquery.tf", "look_back_s = local.clocks.dedupe_lookback_s", "look_back_s = 60"),
                ("bigquery.tf", '"TABLE_VALUED_FUNCTION"', '"SCALAR_FUNCTION"'),
            ],
            "partitions_are_fewer_than_bigquery_takes": [
                ("variables_data.tf", "var.retention_days <= 415", "var.retention_days <= 500")
            ],
        },
    ),
]
