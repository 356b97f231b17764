"""Ways to break infra/terraform: topic, subscriptions and tables.

Each line: a file, what is taken out of it, what is put there, and the run that must notice.
"""

from tests.terraform.mutation import Mutation

_PUSH = [
    (
        "pubsub.tf",
        "service_account_email = google_service_account.push.email",
        "service_account_email = google_service_account.service.email",
        "pushes_are_authenticated",
    ),
    ("pubsub.tf", "audience              = local.push_audience", 'audience = "other"', "pushes_are_authenticated"),
    (
        "pubsub.tf",
        "      oidc_token {\n        service_account_email = google_service_account.push.email\n"
        "        audience              = local.push_audience\n      }\n",
        "",
        "pushes_are_authenticated",
    ),
    ("pubsub.tf", "/pubsub/push", "/", "pushes_are_authenticated"),
    ("names.tf", '"${var.project_id}/${var.system}/push"', '"sluice"', "pushes_are_authenticated"),
    (
        "pubsub.tf",
        "service_account_id = google_service_account.push.name",
        "service_account_id = google_service_account.service.name",
        "pushes_are_authenticated",
    ),
    (
        "pubsub.tf",
        "ack_deadline_seconds       = local.clocks.ack_deadline_s",
        "ack_deadline_seconds = 30",
        "the_subscription_and_the_service_agree_on_the_clocks",
    ),
    (
        "pubsub.tf",
        '"${local.clocks.retry_backoff_max_s}s"',
        '"300s"',
        "the_subscription_and_the_service_agree_on_the_clocks",
    ),
    (
        "clocks.tf",
        "retry_backoff_min_s = 10 ",
        "retry_backoff_min_s = 1 ",
        "the_subscription_and_the_service_agree_on_the_clocks",
    ),
    ("clocks.tf", "= 900 #", "= 600 #", "the_subscription_and_the_service_agree_on_the_clocks"),
    ("clocks.tf", "= var.retention_days", "= 400", "the_subscription_and_the_service_agree_on_the_clocks"),
    (
        "bigquery.tf",
        "local.clocks.retention_days * 86400000",
        "400 * 86400000",
        "the_subscription_and_the_service_agree_on_the_clocks",
    ),
    ("clocks.tf", "= 300 #", "= 240 #", "the_subscription_and_the_service_agree_on_the_clocks"),
    ("pubsub.tf", "max_delivery_attempts = 100", "max_delivery_attempts = 5", "what_is_not_taken_is_kept"),
    (
        "pubsub.tf",
        "dead_letter_topic     = google_pubsub_topic.dead_letters.id",
        "dead_letter_topic = google_pubsub_topic.records.id",
        "what_is_not_taken_is_kept",
    ),
    ("pubsub.tf", '"${var.dead_letter_days * 86400}s"', '"604800s"', "what_is_not_taken_is_kept"),
    ("pubsub.tf", '"${var.unacked_days * 86400}s"', '"3600s"', "what_is_not_taken_is_kept"),
    (
        "pubsub.tf",
        'expiration_policy {\n    ttl = ""\n  }\n\n  retry_policy',
        'expiration_policy {\n    ttl = "2678400s"\n  }\n\n  retry_policy',
        "what_is_not_taken_is_kept",
    ),
    (
        "pubsub.tf",
        'deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"\n\n  # Never',
        'deletion_policy = "DELETE"\n\n  # Never',
        "what_is_not_taken_is_kept",
    ),
    (
        "pubsub.tf",
        '"roles/pubsub.publisher"\n  member = local.pubsub_agent',
        '"roles/pubsub.viewer"\n  member = local.pubsub_agent',
        "what_is_not_taken_is_kept",
    ),
    ("pubsub.tf", '"roles/pubsub.subscriber"', '"roles/pubsub.viewer"', "what_is_not_taken_is_kept"),
    ("pubsub.tf", " && !local.runs_placeholder", "", "nothing_is_pushed_to_the_placeholder"),
    ("pubsub.tf", "= var.pushes && ", "= ", "nothing_is_pushed_before_somebody_says_so"),
    ("outputs.tf", "local.push_enabled ?", "!local.runs_placeholder ?", "nothing_is_pushed_before_somebody_says_so"),
    (
        "variables_service.tf",
        'sample is sent is lost."\n  type        = bool\n  default     = false',
        'sample is sent is lost."\n  type        = bool\n  default     = true',
        "pushes_are_off_until_they_are_turned_on",
    ),
    (
        "variables_data.tf",
        "var.dead_letter_days >= 7",
        "var.dead_letter_days >= 1",
        "dead_letters_are_kept_for_a_week_at_least",
    ),
]

_TABLES = [
    (
        "bigquery.tf",
        "deletion_protection      = var.deletion_protection",
        "deletion_protection = false",
        "tables_are_protected",
    ),
    ("bigquery.tf", "delete_contents_on_destroy = false", "delete_contents_on_destroy = true", "tables_are_protected"),
    ("bigquery.tf", 'var.deletion_protection ? "PREVENT" : "DELETE"', '"DELETE"', "tables_are_protected"),
    ("bigquery.tf", "require_partition_filter = true", "require_partition_filter = false", "tables_are_protected"),
    ("bigquery.tf", 'type          = "HOUR"', 'type          = "DAY"', "tables_are_protected"),
    ("bigquery.tf", '= "ingest_time"', '= "publish_time"', "tables_are_protected"),
    ("bigquery.tf", 'clustering  = ["reason"]', "clustering  = null", "tables_are_protected"),
    ("bigquery.tf", 'schema      = "rejects.schema.json"', 'schema = "table.schema.json"', "tables_are_protected"),
    (
        "bigquery.tf",
        "deletion_protection      = var.deletion_protection",
        "deletion_protection = true",
        "protection_can_be_taken_off_for_a_tear_down",
    ),
    ("bigquery.tf", 'var.record_id == "" ? null : [var.record_id]', '["id"]', "a_type_without_an_id_is_not_clustered"),
    ("cloud_run.tf", "= var.record_type", '= "app.record:Record"', "a_type_without_an_id_is_not_clustered"),
    (
        "bigquery.tf",
        "look_back_s = local.clocks.dedupe_lookback_s",
        "look_back_s = 60",
        "the_function_reads_each_delivery_once",
    ),
    ("bigquery.tf", '"TABLE_VALUED_FUNCTION"', '"SCALAR_FUNCTION"', "the_function_reads_each_delivery_once"),
    (
        "variables_data.tf",
        "var.retention_days <= 415",
        "var.retention_days <= 500",
        "partitions_are_fewer_than_bigquery_takes",
    ),
]

MUTATIONS = [
    Mutation(file, old, new, test, noticed_by)
    for test, group in (
        ("push", _PUSH),
        ("tables", _TABLES),
    )
    for file, old, new, noticed_by in group
]
