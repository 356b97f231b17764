"""Ways to break infra/terraform: the service, its monitoring, and what can be switched on.

By the run that must notice: a file, what is taken out of it, and what is put there.
"""

from tests.terraform.mutation import mutations_of

_INVOKER_OFF = "invoker_iam_disabled = !local.cloud_run_checks"

MUTATIONS = [
    *mutations_of(
        "service",
        {
            "the_signing_secret_comes_from_secret_manager": [
                (
                    "cloud_run.tf",
                    "secret  = google_secret_manager_secret.signing.secret_id",
                    "secret  = google_secret_manager_secret.grants.secret_id",
                )
            ],
            "without_signing_there_is_no_secret": [
                ("cloud_run.tf", "for_each = var.signing && each.value.ingests ? [1] : []", "for_each = [1]")
            ],
            "the_key_of_hashes_comes_from_secret_manager": [
                (
                    "cloud_run.tf",
                    "google_secret_manager_secret.pii.secret_id",
                    "google_secret_manager_secret.signing.id",
                ),
                ("cloud_run.tf", "version = tostring(env.value)", 'version = "latest"'),
            ],
            "without_personal_data_there_is_no_key": [
                ("cloud_run.tf", "for_each = var.pii_secret_version[*]", "for_each = [1]")
            ],
            "a_key_that_changes_unnoticed_is_refused": [
                ("variables_service.tf", "var.pii_secret_version >= 1 && ", "")
            ],
            "a_key_among_the_settings_is_refused": [
                (
                    "variables_service.tf",
                    'keys(var.settings), "SLUICE_PII_SECRET")',
                    'keys(var.settings), "SLUICE_NOTHING")',
                )
            ],
            "a_secret_among_the_settings_is_refused": [
                (
                    "variables_service.tf",
                    'keys(var.settings), "SLUICE_SIGNING_SECRET")',
                    'keys(var.settings), "SLUICE_NOTHING")',
                )
            ],
            "probes_ask_the_right_questions": [
                ("cloud_run.tf", 'path = "/health/live"', 'path = "/health/ready"'),
                (
                    "cloud_run.tf",
                    'success_threshold = 1\n        http_get {\n          path = "/health/ready"',
                    'success_threshold = 1\n        http_get {\n          path = "/"',
                ),
            ],
            "an_instance_is_paid_for_and_works_all_the_time": [
                ("cloud_run.tf", "cpu_idle          = false", "cpu_idle          = true"),
                ("cloud_run.tf", "startup_cpu_boost = true", "startup_cpu_boost = false"),
                ("cloud_run.tf", "min_instance_count = each.value.instances.min", "min_instance_count = 0"),
                ("cloud_run.tf", "deletion_protection = var.deletion_protection", "deletion_protection = false"),
                ("cloud_run.tf", 'SLUICE_BACKEND             = "bigquery"', 'SLUICE_BACKEND = "embedded"'),
            ],
            "ingress_is_what_was_said": [
                ("cloud_run.tf", '"INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"', '"INGRESS_TRAFFIC_ALL"')
            ],
            "grants_are_read_from_the_secret": [
                ("cloud_run.tf", 'version = "latest" # read anew', 'version = "1" # read anew'),
                ("cloud_run.tf", '"${local.grants_folder}/grants.json" : ""', '"/grants.json" : ""'),
            ],
            "without_grants_nothing_is_mounted": [
                (
                    "cloud_run.tf",
                    'dynamic "volumes" {\n      for_each = var.grants ? [1] : []',
                    'dynamic "volumes" {\n      for_each = [1]',
                )
            ],
            "images_that_nobody_wants_back_are_removed": [
                ("artifact_registry.tf", "immutable_tags = false", "immutable_tags = true"),
                ("artifact_registry.tf", 'tag_state  = "ANY"', 'tag_state  = "TAGGED"'),
            ],
            "a_published_image_comes_by_way_of_this_project": [
                ("cloud_run.tf", "image = local.first_image", "image = var.image"),
                ("artifact_registry.tf", "https://ghcr.io", "https://example.com"),
                ("outputs.tf", "--image=${local.first_image}", "--image=${var.first_image}"),
            ],
            "a_published_image_is_named_by_its_digest": [("variables_service.tf", "@sha256:[0-9a-f]{64})?$", ".*)?$")],
            "without_a_published_image_there_is_no_second_repository": [
                ("artifact_registry.tf", 'count = var.image == "" ? 0 : 1', "count = 1")
            ],
            "nothing_in_preview_is_needed": [
                (
                    "cloud_run.tf",
                    "  deletion_protection = var.deletion_protection\n",
                    '  launch_stage        = "BETA"\n  deletion_protection = var.deletion_protection\n',
                )
            ],
        },
    ),
    *mutations_of(
        "deploys",
        {
            "the_first_apply": [("cloud_run.tf", "image = local.first_image", 'image = "other"')],
            "a_later_apply_leaves_the_image_to_the_deploy_workflow": [
                ("cloud_run.tf", "      template[0].containers[0].image,\n", "")
            ],
        },
    ),
    *mutations_of(
        "monitoring",
        {
            "every_alert_has_a_channel": [
                ("monitoring.tf", "notification_channels = local.channels", "notification_channels = []"),
                ("notification_channels.tf", "    values(google_monitoring_notification_channel.sms)[*].name,\n", ""),
                ("monitoring.tf", "disable_metric_validation = true", "disable_metric_validation = false"),
                ("notification_channels.tf", 'type         = "slack"', 'type         = "email"'),
            ],
            "nobody_is_paged_before_pushes_begin": [
                ("monitoring.tf", "enabled = !contains(local.silent_alerts, each.key)", "enabled = true"),
                ("heartbeat.tf", 'local.push_enabled ? [] : ["backlog"]', "[]"),
            ],
            "canaries_that_were_turned_off_are_not_missed": [
                ("heartbeat.tf", "local.push_enabled && local.publishes_canaries ? []", "local.push_enabled ? []")
            ],
            "a_system_that_waits_does_not_silence_the_others": [
                ("heartbeat.tf", "local.watched_systems != toset([var.system]) ? [] : ", "")
            ],
            "every_selector_of_googles_metrics_is_pinned": [
                (
                    "monitoring/alerts.json",
                    'oldest_unacked_message_age{monitored_resource=\\"pubsub_subscription\\", ',
                    "oldest_unacked_message_age{",
                ),
                (
                    "monitoring/dashboard.json",
                    'send_message_operation_count{monitored_resource=\\"pubsub_topic\\", ',
                    "send_message_operation_count{",
                ),
            ],
            "metrics_and_traces_go_to_google": [
                ("apis.tf", '      "telemetry.googleapis.com",\n', ""),
                ("variables_monitoring.tf", 'default     = ["cloud"]', 'default     = ["prometheus"]'),
            ],
            "the_service_reads_the_backlog": [
                ("cloud_run.tf", 'var.backlog ? "cloud" : ""', '""'),
                ("cloud_run.tf", '"${var.system}-push${stream.suffix}"', '"${var.system}${stream.suffix}"'),
                ("cloud_run.tf", 'var.backlog ? "roles/monitoring.viewer" : ""', '""'),
            ],
            "the_backlog_can_be_left_out": [
                ("cloud_run.tf", 'var.backlog ? "cloud" : ""', '"cloud"'),
                ("cloud_run.tf", 'var.backlog ? "roles/monitoring.viewer" : ""', '"roles/monitoring.viewer"'),
            ],
            "traces_can_go_through_the_telemetry_api": [
                ("cloud_run.tf", "SLUICE_TRACES              = var.traces", 'SLUICE_TRACES              = "cloud"'),
                ("cloud_run.tf", ' ? "roles/telemetry.tracesWriter" : ""', ' ? "roles/cloudtrace.agent" : ""'),
                (
                    "cloud_run.tf",
                    'var.traces == "cloud-otlp" ? "roles/serviceusage.serviceUsageConsumer" : ""',
                    'var.traces == "cloud" ? "" : ""',
                ),
            ],
            "nothing_is_granted_for_what_is_off": [
                ("cloud_run.tf", 'contains(var.metrics, "cloud") ? "roles', 'true ? "roles'),
                ("cloud_run.tf", 'join(",", sort(var.metrics))', '"cloud"'),
            ],
            "an_unknown_receiver_of_metrics_is_refused": [
                (
                    "variables_monitoring.tf",
                    '["cloud", "otlp", "prometheus"]',
                    '["cloud", "otlp", "prometheus", "statsd"]',
                )
            ],
            "an_unknown_receiver_of_traces_is_refused": [
                ("variables_monitoring.tf", '["cloud", "cloud-otlp", "none", "otlp"]', '["cloud", "none", "zipkin"]')
            ],
            "objectives_wait_for_the_first_revision": [
                ("slos.tf", "if var.pushes && var.objectives", "if var.objectives")
            ],
            "objectives_can_wait_longer": [("slos.tf", "if var.pushes && var.objectives", "if var.pushes")],
            "one_set_of_alerts_watches_all_systems": [
                (
                    "monitoring.tf",
                    "var.watched_systems == null ? toset([var.system]) : var.watched_systems",
                    "toset([var.system])",
                )
            ],
            "another_configuration_may_watch": [
                ("monitoring.tf", "alert.name => alert if local.watches", "alert.name => alert")
            ],
            "objectives_are_those_of_the_design": [
                ("slos.tf", "goal                = each.value.goal", "goal = 0.5"),
                ("slos.tf", "max = try(distribution_cut.value.range.max, null)", "max = 10"),
            ],
            "good_pushes_are_not_logged": [
                ("logging.tf", '    "httpRequest.status<400",\n', ""),
                ("logging.tf", '"httpRequest.requestUrl=~\\"/pubsub/push', '"httpRequest.requestUrl=~\\"/push'),
            ],
            "an_alert_that_reaches_nobody_is_refused": [
                (
                    "variables_monitoring.tf",
                    "(var.on_call.pagerduty ? 1 : 0) > 0",
                    "(var.on_call.pagerduty ? 1 : 0) >= 0",
                )
            ],
        },
    ),
    *mutations_of(
        "options",
        {
            "the_heartbeat_is_marked_as_one": [
                ("heartbeat.tf", ", sluice-signature = local.heartbeat_signature }", " }")
            ],
            "no_canary_waits_for_the_first_deployment": [
                ("heartbeat.tf", "paused = !local.push_enabled", "paused = false")
            ],
            "canaries_are_published_once_pushes_are_on": [
                ("heartbeat.tf", "paused = !local.push_enabled", "paused = true")
            ],
            "the_first_message_can_be_pasted": [
                ("outputs.tf", 'id = "first", ', 'id = "other", '),
                ("outputs.tf", """ --audiences=${local.api_audience}""", " --audiences=${local.push_audience}"),
                ("outputs.tf", "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR), ", ""),
            ],
            "the_first_message_of_another_type_is_a_record_of_it": [
                ("outputs.tf", " }) : var.heartbeat", ' }) : "{}"')
            ],
            "the_service_knows_the_heartbeat_by_its_signature": [
                (
                    "cloud_run.tf",
                    "SLUICE_HEARTBEAT_SIGNATURE = local.heartbeat_signature",
                    'SLUICE_HEARTBEAT_SIGNATURE = ""',
                )
            ],
            "without_a_heartbeat_nothing_is_scheduled": [
                ("apis.tf", "!local.publishes_canaries ? [] :", "false ? [] :")
            ],
            "the_cache_is_reached_through_a_network_of_its_own": [
                ("cache.tf", '"CONNECTION_TYPE_PRIMARY"', '"CONNECTION_TYPE_READER"'),
                ("cloud_run.tf", '"PRIVATE_RANGES_ONLY"', '"ALL_TRAFFIC"'),
            ],
            "without_a_cache_there_is_no_network": [
                (
                    "cache.tf",
                    'resource "google_compute_network" "cache" {\n  count = var.cache ? 1 : 0',
                    'resource "google_compute_network" "cache" {\n  count = 1',
                )
            ],
            "a_budget_tells_the_people_on_call": [
                ("budget.tf", "slice(local.channels, 0, min(5, length(local.channels)))", "[]")
            ],
            "a_topic_may_have_a_schema": [
                ("pubsub.tf", "encoding = schema_settings.value.encoding", 'encoding = "BINARY"')
            ],
            "a_schema_in_another_encoding_than_the_service_reads_is_refused": [
                ("variables_data.tf", ' && var.topic_schema.encoding == "JSON"', "")
            ],
        },
    ),
    *mutations_of(
        "environments/environment",
        {
            "the_environment_can_be_planned": [
                ("environments/prod.tfvars", "", "\ndeletion_protection = false\n"),
                ("environments/prod.tfvars", "sluice-prod", "sluice-dev"),
                ("monitoring.tf", "notification_channels = local.channels", "notification_channels = []"),
                ("cloud_run.tf", _INVOKER_OFF, "invoker_iam_disabled = false"),
            ]
        },
    ),
]
