"""Ways to break infra/terraform: several streams, and the change to them.

By the run that must notice: a file, what is taken out of it, and what is put there.
"""

from tests.terraform.mutation import mutations_of

_STREAMS, _CHECKS, _CHECKS_OF_SERVICE = "streams.tf", "variables_streams.tf", "variables_service.tf"


MUTATIONS = [
    *mutations_of(
        "streams",
        {
            "each_stream_has_a_table_of_its_own": [
                (
                    "bigquery.tf",
                    "file(each.value.schema)\n",
                    'file("${path.module}/table.schema.json")\n',
                ),
                (_STREAMS, "try(coalesce(var.streams[name].retention_days), local.clocks", "try(local.clocks"),
                ("bigquery.tf", '"${each.key}_between"', '"records_between"'),
                (
                    "bigquery.tf",
                    '${google_bigquery_table.main[each.key].table_id}"\n',
                    '${google_bigquery_table.main["records"].table_id}"\n',
                ),
            ],
            "a_stream_may_have_no_id": [
                ("deploy_identity.tf", "&& length(table.id) > 0", '&& name != "records_rejected"'),
            ],
            "each_stream_is_pushed_to_its_own_path": [
                (_STREAMS, '"/pubsub/push/${name}" : "/pubsub/push"', '"/pubsub/push" : "/pubsub/push"'),
                (_STREAMS, '? "" : ".${name}"', '? "" : "-${name}"'),
                ("pubsub.tf", "topic  = local.topic_ids[each.key]", 'topic = local.topic_ids["records"]'),
            ],
            "each_stream_has_dead_letters_of_its_own": [
                (
                    "pubsub.tf",
                    "google_pubsub_topic.dead_letters[each.key].id\n    max",
                    'google_pubsub_topic.dead_letters["records"].id\n    max',
                ),
                (
                    "pubsub.tf",
                    "topic  = google_pubsub_topic.dead_letters[each.key].id",
                    'topic = google_pubsub_topic.dead_letters["records"].id',
                ),
                (
                    "pubsub.tf",
                    "for_each = google_pubsub_topic.dead_letters",
                    'for_each = { records = google_pubsub_topic.dead_letters["records"] }',
                ),
                (
                    "pubsub.tf",
                    "for_each = google_pubsub_subscription.push",
                    'for_each = { records = google_pubsub_subscription.push["records"] }',
                ),
            ],
            "a_shared_topic_is_divided_by_filters": [
                (
                    _STREAMS,
                    'startswith(stream.topic, "projects/") ? stream.topic : google_pubsub_topic.main[stream.topic].id',
                    'google_pubsub_topic.main["records"].id',
                ),
                ("pubsub.tf", "filter = each.value.filter", "filter = null"),
            ],
            "publishers_are_those_of_the_topic": [
                (
                    _STREAMS,
                    "null) == null ? var.publishers : var.streams[name].publishers",
                    "null) == null ? var.publishers : var.publishers",
                ),
                (
                    "pubsub.tf",
                    "google_pubsub_topic.main[each.value.stream].id",
                    'google_pubsub_topic.main["records"].id',
                ),
            ],
            "a_topic_schema_is_of_one_stream": [
                (
                    _STREAMS,
                    'name == "records" && try(var.streams[name].topic_schema',
                    "try(var.streams[name].topic_schema",
                ),
                ("pubsub.tf", "google_pubsub_schema.main[each.key].id", 'google_pubsub_schema.main["records"].id'),
            ],
            "the_service_is_told_of_the_streams": [
                ("services.tf", ' if name != (local.has_streams ? "SLUICE_RECORD" : "SLUICE_STREAMS")', ""),
                ("cloud_run.tf", "= var.streams_module", '= ""'),
            ],
            "a_single_type_is_told_as_before": [
                ("services.tf", 'local.has_streams ? "SLUICE_RECORD" : "SLUICE_STREAMS"', '"SLUICE_RECORD"'),
                ("monitoring.tf", "local.has_streams || local.watched_systems != toset([var.system])", "true"),
                ("logging.tf", 'local.has_streams ? "/[a-z0-9_]+" : ""', '"/[a-z0-9_]+"'),
            ],
            "the_service_may_append_to_each_table": [
                ("bigquery.tf", "for name in keys(local.tables) :", 'for name in ["records", "records_rejected"] :'),
            ],
            "every_stream_is_watched": [
                ("monitoring.tf", "local.has_streams || ", ""),
                ("monitoring.tf", '"([.][a-z0-9_]+)?"', '"([.-][a-z0-9_-]+)?"'),
                (
                    "monitoring.tf",
                    '"${local.one_of_watched}-dead-letters${local.may_be_of_a_stream}"',
                    '"${local.one_of_watched}-dead-letters"',
                ),
                ("logging.tf", 'local.has_streams ? "/[a-z0-9_]+" : ""', '""'),
            ],
            "another_systems_streams_are_watched": [
                ("monitoring.tf", " || local.watched_systems != toset([var.system])", ""),
            ],
            "canaries_go_to_the_default_stream": [
                ("heartbeat.tf", "local.topic_ids[local.heartbeat_stream]", 'local.topic_ids["records"]'),
                (
                    _STREAMS,
                    "local.heartbeat_stream) ? local.heartbeat_stream :",
                    'local.heartbeat_stream) ? "records" :',
                ),
                ("outputs.tf", '"streams/${local.shown_stream}/"', '""'),
                ("outputs.tf", "!local.has_streams && var.record_type ==", "var.record_type =="),
            ],
            "streams_need_no_stream_called_records": [
                (_STREAMS, "? keys(var.streams) :", '? concat(["records"], keys(var.streams)) :'),
            ],
            "a_stream_waits_for_its_image": [
                ("pubsub.tf", "local.push_enabled && each.value.pushes", "local.push_enabled")
            ],
            "a_stream_that_waits_raises_no_alert": [
                ("monitoring.tf", " || !stream.pushes]", "]"),
                ("monitoring.tf", "{var.system}-push${replace", "{var.system}-${replace"),
                (
                    "monitoring/alerts.json",
                    ', subscription_id!~\\"${paused_subscriptions}\\"',
                    "",
                ),
            ],
            "no_alert_leaves_out_a_stream_that_is_pushed": [
                ("monitoring.tf", " if !local.push_enabled || !stream.pushes]", "]")
            ],
            "a_system_that_waits_leaves_the_others_watched": [
                ("monitoring.tf", "if !local.push_enabled || !stream.pushes", "if !stream.pushes")
            ],
            "more_connections_than_a_region_takes_are_refused": [
                ("cloud_run.tf", "= !each.value.ingests || local.connections", "= true || local.connections"),
                ("services.tf", "(length(local.streams) + 1) * local", "2 * local"),
            ],
            "as_many_connections_as_a_region_takes_are_not": [
                ("services.tf", "(length(local.streams) + 1) * local", "1 * local")
            ],
            "fewer_connections_for_each_table_fit": [
                ("services.tf", '"SLUICE_BIGQUERY_MAX_CONNECTIONS", "4"', '"SLUICE_NOTHING", "4"')
            ],
            "a_multi_region_takes_ten_times_as_many": [("services.tf", "? 10000 : 1000", "? 1000 : 1000")],
            "a_quota_that_was_raised_counts": [("services.tf", "coalesce(var.append_connections, ", "coalesce(")],
            "the_instances_that_ingest_are_counted": [
                ("services.tf", "local.services[local.ingest_key].instances", 'local.services["main"].instances')
            ],
            "a_quota_of_nothing_is_refused": [(_CHECKS_OF_SERVICE, "var.append_connections >= 1", "true")],
            "no_stream_is_pushed_to_the_sample": [
                ("pubsub.tf", "local.push_enabled && each.value.pushes", "each.value.pushes")
            ],
            "a_name_that_is_no_path_is_refused": [(_CHECKS, "[a-z][a-z0-9_]{0,62}", "[a-z][a-z0-9_-]{0,62}")],
            "the_table_of_rejects_is_no_stream": [(_CHECKS, ' && name != "records_rejected"', "")],
            "streams_without_their_module_are_refused": [
                (
                    _CHECKS,
                    'can(regex("^[A-Za-z_][A-Za-z0-9_.]*:',
                    'var.streams_module == "" || can(regex("^[A-Za-z_][A-Za-z0-9_.]*:',
                )
            ],
            "a_module_without_streams_is_refused": [(_CHECKS, '== 0 ? var.streams_module == "" :', "== 0 ? true :")],
            "a_stream_without_columns_is_refused": [
                ("bigquery.tf", "[*].name)) == 0, false)", "[*].name)) == 0, true)")
            ],
            "columns_of_another_type_are_refused": [
                ("bigquery.tf", ", each.value.id)", ")"),
            ],
            "partitions_of_a_stream_are_fewer_than_bigquery_takes": [
                (_CHECKS, "stream.retention_days <= 415", "stream.retention_days <= 500")
            ],
            "an_unknown_topic_is_refused": [
                (_CHECKS, "|| try(var.streams[stream.topic].topic == null, false)", "|| true")
            ],
            "a_shared_topic_without_filters_is_refused": [
                (_CHECKS, "== coalesce(stream.topic, name)]) == 1", "== coalesce(stream.topic, name)]) >= 1")
            ],
            "a_filter_that_is_too_long_is_refused": [(_CHECKS, " && length(stream.filter) <= 256", "")],
            "publishers_of_a_topic_of_somebody_else_are_refused": [
                (_CHECKS, "(stream.publishers == null && stream.topic_schema == null)", "stream.topic_schema == null")
            ],
            "everybody_may_not_publish_to_a_stream": [
                (
                    _CHECKS,
                    "in coalesce(stream.publishers, []) : can(",
                    "in coalesce(stream.publishers, []) : true || can(",
                )
            ],
            "a_stream_in_another_encoding_than_the_service_reads_is_refused": [
                (_CHECKS, ' && stream.topic_schema.encoding == "JSON"', "")
            ],
            "canaries_that_a_filter_would_drop_are_refused": [
                (
                    _CHECKS,
                    "local.own_topics[var.heartbeat_stream].filter == null",
                    "local.own_topics[var.heartbeat_stream] != null",
                )
            ],
            "canaries_for_no_stream_are_refused": [
                (_CHECKS, "filter == null, false)", "filter == null, true)"),
            ],
        },
    ),
    *mutations_of(
        "from_one_type",
        {
            "a_single_type": [(_STREAMS, 'suffix         = name == "records" ?', 'suffix = name == "" ?')],
            "several_streams_destroy_nothing": [
                (_STREAMS, 'name == "records" ? "" : ".${name}"', 'local.has_streams ? ".${name}" : ""'),
                (_STREAMS, 'name == "records" && try(var.streams[name].topic_schema, null) == null', "false"),
            ],
        },
    ),
]
