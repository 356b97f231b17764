"""Ways to break infra/terraform: the service, its monitoring, and what can be switched on.

Each line: a file, what is taken out of it, what is put there, and the run that must notice.
"""

from tests.terraform.mutation import Mutation

_INVOKER_OFF = "invoker_iam_disabled = !local.cloud_run_checks"

_SERVICE = [
    (
        "cloud_run.tf",
        "secret  = google_secret_manager_secret.signing.secret_id",
        "secret  = google_secret_manager_secret.grants.secret_id",
        "the_signing_secret_comes_from_secret_manager",
    ),
    ("cloud_run.tf", "for_each = var.signing ? [1] : []", "for_each = [1]", "without_signing_there_is_no_secret"),
    (
        "variables_service.tf",
        'keys(var.settings), "SLUICE_SIGNING_SECRET")',
        'keys(var.settings), "SLUICE_NOTHING")',
        "a_secret_among_the_settings_is_refused",
    ),
    ("cloud_run.tf", 'path = "/health/live"', 'path = "/health/ready"', "probes_ask_the_right_questions"),
    (
        "cloud_run.tf",
        'success_threshold = 1\n        http_get {\n          path = "/health/ready"',
        'success_threshold = 1\n        http_get {\n          path = "/"',
        "probes_ask_the_right_questions",
    ),
    (
        "cloud_run.tf",
        "cpu_idle          = false",
        "cpu_idle          = true",
        "an_instance_is_paid_for_and_works_all_the_time",
    ),
    (
        "cloud_run.tf",
        "startup_cpu_boost = true",
        "startup_cpu_boost = false",
        "an_instance_is_paid_for_and_works_all_the_time",
    ),
    (
        "cloud_run.tf",
        "min_instance_count = var.instances.min",
        "min_instance_count = 0",
        "an_instance_is_paid_for_and_works_all_the_time",
    ),
    (
        "cloud_run.tf",
        "deletion_protection = var.deletion_protection",
        "deletion_protection = false",
        "an_instance_is_paid_for_and_works_all_the_time",
    ),
    (
        "cloud_run.tf",
        'SLUICE_BACKEND             = "bigquery"',
        'SLUICE_BACKEND = "embedded"',
        "an_instance_is_paid_for_and_works_all_the_time",
    ),
    ("cloud_run.tf", '"INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"', '"INGRESS_TRAFFIC_ALL"', "ingress_is_what_was_said"),
    ("cloud_run.tf", 'version = "latest" # read anew', 'version = "1" # read anew', "grants_are_read_from_the_secret"),
    (
        "cloud_run.tf",
        '"${local.grants_folder}/grants.json" : ""',
        '"/grants.json" : ""',
        "grants_are_read_from_the_secret",
    ),
    (
        "cloud_run.tf",
        'dynamic "volumes" {\n      for_each = var.grants ? [1] : []',
        'dynamic "volumes" {\n      for_each = [1]',
        "without_grants_nothing_is_mounted",
    ),
    (
        "artifact_registry.tf",
        "immutable_tags = true",
        "immutable_tags = false",
        "images_that_nobody_wants_back_are_removed",
    ),
]

_DEPLOYS = [
    ("cloud_run.tf", "image = var.first_image", 'image = "other"', "the_first_apply"),
    (
        "cloud_run.tf",
        "      template[0].containers[0].image,\n",
        "",
        "a_later_apply_leaves_the_image_to_the_deploy_workflow",
    ),
]

_MONITORING = [
    (
        "monitoring.tf",
        "notification_channels = local.channels",
        "notification_channels = []",
        "every_alert_has_a_channel",
    ),
    (
        "notification_channels.tf",
        "    values(google_monitoring_notification_channel.sms)[*].name,\n",
        "",
        "every_alert_has_a_channel",
    ),
    (
        "monitoring.tf",
        "disable_metric_validation = true",
        "disable_metric_validation = false",
        "every_alert_has_a_channel",
    ),
    ("notification_channels.tf", 'type         = "slack"', 'type         = "email"', "every_alert_has_a_channel"),
    (
        "monitoring.tf",
        '"workload.googleapis.com/${each.key}"',
        '"custom.googleapis.com/${each.key}"',
        "metrics_exist_before_the_alerts_that_name_them",
    ),
    (
        "monitoring.tf",
        'histogram = "CUMULATIVE"',
        'histogram = "DELTA"',
        "metrics_exist_before_the_alerts_that_name_them",
    ),
    (
        "monitoring.tf",
        'replace(labels.value, "/[^A-Za-z0-9_]/", "_")',
        "labels.value",
        "metrics_exist_before_the_alerts_that_name_them",
    ),
    (
        "monitoring.tf",
        "var.watched_systems == null ? toset([var.system]) : var.watched_systems",
        "toset([var.system])",
        "one_set_of_alerts_watches_all_systems",
    ),
    ("monitoring.tf", "alert.name => alert if local.watches", "alert.name => alert", "another_configuration_may_watch"),
    ("slos.tf", "goal                = each.value.goal", "goal = 0.5", "objectives_are_those_of_the_design"),
    ("slos.tf", "max = try(distribution_cut.value.range.max, null)", "max = 10", "objectives_are_those_of_the_design"),
    ("logging.tf", '    "httpRequest.status<400",\n', "", "good_pushes_are_not_logged"),
    ("logging.tf", '    "httpRequest.requestUrl=~\\"/pubsub/push$\\"",\n', "", "good_pushes_are_not_logged"),
    (
        "variables_monitoring.tf",
        "(var.on_call.pagerduty ? 1 : 0) > 0",
        "(var.on_call.pagerduty ? 1 : 0) >= 0",
        "an_alert_that_reaches_nobody_is_refused",
    ),
]

_OPTIONS = [
    (
        "heartbeat.tf",
        ", sluice-signature = local.heartbeat_signature }",
        " }",
        "the_heartbeat_is_marked_as_one",
    ),
    (
        "cloud_run.tf",
        "SLUICE_HEARTBEAT_SIGNATURE = local.heartbeat_signature",
        'SLUICE_HEARTBEAT_SIGNATURE = ""',
        "the_service_knows_the_heartbeat_by_its_signature",
    ),
    ("apis.tf", "var.heartbeat == null ? [] :", "false ? [] :", "without_a_heartbeat_nothing_is_scheduled"),
    (
        "cache.tf",
        '"CONNECTION_TYPE_PRIMARY"',
        '"CONNECTION_TYPE_READER"',
        "the_cache_is_reached_through_a_network_of_its_own",
    ),
    ("cloud_run.tf", '"PRIVATE_RANGES_ONLY"', '"ALL_TRAFFIC"', "the_cache_is_reached_through_a_network_of_its_own"),
    (
        "cache.tf",
        'resource "google_compute_network" "cache" {\n  count = var.cache ? 1 : 0',
        'resource "google_compute_network" "cache" {\n  count = 1',
        "without_a_cache_there_is_no_network",
    ),
    (
        "budget.tf",
        "slice(local.channels, 0, min(5, length(local.channels)))",
        "[]",
        "a_budget_tells_the_people_on_call",
    ),
    ("pubsub.tf", "encoding = var.topic_schema.encoding", 'encoding = "BINARY"', "a_topic_may_have_a_schema"),
    (
        "variables_data.tf",
        ' && var.topic_schema.encoding == "JSON"',
        "",
        "a_schema_in_another_encoding_than_the_service_reads_is_refused",
    ),
]

_ENVIRONMENT = [
    ("environments/prod.tfvars", "", "\ndeletion_protection = false\n", "the_environment_can_be_planned"),
    ("environments/prod.tfvars", "sluice-prod", "sluice-dev", "the_environment_can_be_planned"),
    (
        "monitoring.tf",
        "notification_channels = local.channels",
        "notification_channels = []",
        "the_environment_can_be_planned",
    ),
    ("cloud_run.tf", _INVOKER_OFF, "invoker_iam_disabled = false", "the_environment_can_be_planned"),
]

MUTATIONS = [
    Mutation(file, old, new, test, noticed_by)
    for test, group in (
        ("service", _SERVICE),
        ("deploys", _DEPLOYS),
        ("monitoring", _MONITORING),
        ("options", _OPTIONS),
        ("environments/environment", _ENVIRONMENT),
    )
    for file, old, new, noticed_by in group
]
