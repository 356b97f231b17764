"""Ways to break infra/terraform: who may call it, and who may do what.

Each line: a file, what is taken out of it, what is put there, and the run that must notice.
"""

from tests.terraform.mutation import Mutation

_INVOKER_OFF = "invoker_iam_disabled = !local.cloud_run_checks"
_POOL = "workloadIdentityPools/github/attribute.purpose/deploy"
_MEMBERS = "condition     = alltrue([for member in var.{0} : can(regex("

_GATES = [
    ("cloud_run.tf", _INVOKER_OFF, "invoker_iam_disabled = false", "by_default_the_service_is_the_gate"),
    (
        "cloud_run.tf",
        "= google_service_account.push.email\n    SLUICE_API_AUD",
        '= ""\n    SLUICE_API_AUD',
        "by_default_the_service_is_the_gate",
    ),
    ("cloud_run.tf", '"0.0.0.0"', '"127.0.0.1"', "by_default_the_service_is_the_gate"),
    (
        "cloud_run.tf",
        "SLUICE_PLATFORM_IAM        = var.platform_iam",
        'SLUICE_PLATFORM_IAM = "trust"',
        "by_default_the_service_is_the_gate",
    ),
    ("cloud_run.tf", _INVOKER_OFF, "invoker_iam_disabled = true", "trust_leaves_the_gate_to_cloud_run"),
    (
        "cloud_run.tf",
        "SLUICE_PLATFORM_IAM        = var.platform_iam",
        'SLUICE_PLATFORM_IAM = "off"',
        "trust_leaves_the_gate_to_cloud_run",
    ),
    ("cloud_run.tf", "[local.push_audience, local.api_audience]", "[]", "trust_leaves_the_gate_to_cloud_run"),
    ("cloud_run.tf", '"roles/run.invoker"', '"roles/run.admin"', "trust_leaves_the_gate_to_cloud_run"),
    (
        "cloud_run.tf",
        "{ push = google_service_account.push.member }",
        '{ push = "allUsers" }',
        "trust_leaves_the_gate_to_cloud_run",
    ),
    *(
        ("cloud_run.tf", old, new, "on_the_way_from_trust_to_off_cloud_run_goes_on_checking")
        for old, new in (
            (_INVOKER_OFF, 'invoker_iam_disabled = var.platform_iam == "off"'),
            ("custom_audiences = local.cloud_run_checks", 'custom_audiences = var.platform_iam == "trust"'),
            ("for_each = local.cloud_run_checks", 'for_each = var.platform_iam == "trust"'),
            (" || var.keep_invoker_check", ""),
        )
    ),
    (
        "cloud_run.tf",
        "var.smoke_test ? { deploy",
        "true ? { deploy",
        "trust_without_a_smoke_test_lets_the_push_identity_through_only",
    ),
    (
        "cloud_run.tf",
        "for_each = local.env",
        "for_each = local.managed_settings",
        "the_settings_that_reach_the_container_are_these",
    ),
    ("variables_service.tf", '["off", "trust"]', '["off", "trust", "none"]', "there_is_no_third_gate"),
    (
        "variables_service.tf",
        'var.platform_iam == "trust" || var.keep_invoker_check ||',
        'true || var.platform_iam == "trust" || var.keep_invoker_check ||',
        "invokers_without_trust_are_refused",
    ),
    (
        "variables_service.tf",
        _MEMBERS.format("invokers"),
        _MEMBERS.format("invokers").replace("alltrue([", "alltrue([true]) || alltrue(["),
        "everybody_is_no_invoker",
    ),
    ("variables_service.tf", "= !var.grants ||", "= true || !var.grants ||", "api_keys_do_not_pass_cloud_runs_check"),
    (
        "variables_service.tf",
        "length(setintersection(",
        "true || length(setintersection(",
        "the_gate_cannot_be_changed_behind_its_back",
    ),
    ("variables_service.tf", '"SLUICE_TOKEN_")', '"SLUICE_NOTHING_")', "other_peoples_tokens_are_no_tokens"),
    (
        "variables_service.tf",
        "var.smoke_test || var.grants ||",
        "true || var.smoke_test || var.grants ||",
        "an_api_that_nobody_may_use_is_refused",
    ),
]

_IDENTITIES = [
    (
        "cloud_run.tf",
        "service_account                  = google_service_account.service.email",
        "service_account = google_service_account.deploy.email",
        "identities_are_separate",
    ),
    (
        "cloud_run.tf",
        "[google_service_account.deploy.email]",
        "[google_service_account.push.email]",
        "identities_are_separate",
    ),
    ("pubsub.tf", '"${var.system}-push"\n  display', '"${var.system}-service"\n  display', "identities_are_separate"),
    ("bigquery.tf", '"roles/bigquery.jobUser"', '"roles/bigquery.admin"', "the_service_may_do_what_it_does"),
    ("bigquery.tf", '"roles/bigquery.dataEditor"', '"roles/bigquery.dataOwner"', "the_service_may_do_what_it_does"),
    ("cloud_run.tf", '"roles/monitoring.metricWriter"', '"roles/editor"', "the_service_may_do_what_it_does"),
    (
        "secrets.tf",
        'secret.grants.id\n  role      = "roles/secretmanager.secretAccessor"',
        'secret.grants.id\n  role      = "roles/secretmanager.admin"',
        "the_service_may_do_what_it_does",
    ),
    (
        "secrets.tf",
        'secret.signing.id\n  role      = "roles/secretmanager.secretAccessor"',
        'secret.signing.id\n  role      = "roles/secretmanager.admin"',
        "the_service_may_do_what_it_does",
    ),
    ("deploy_identity.tf", '"roles/run.developer"', '"roles/run.admin"', "the_deploy_workflow_may_deploy"),
    ("deploy_identity.tf", '"roles/monitoring.viewer"', '"roles/monitoring.admin"', "the_deploy_workflow_may_deploy"),
    ("artifact_registry.tf", "registry.writer", "registry.repoAdmin", "the_deploy_workflow_may_deploy"),
    (
        "deploy_identity.tf",
        "service_account_id = google_service_account.service.name",
        "service_account_id = google_service_account.push.name",
        "the_deploy_workflow_may_deploy",
    ),
    ("deploy_identity.tf", _POOL, "workloadIdentityPools/github/*", "the_deploy_workflow_may_deploy"),
    (
        "pubsub.tf",
        '"roles/pubsub.publisher"\n  member = each.key',
        '"roles/pubsub.editor"\n  member = each.key',
        "others_may_do_what_they_were_named_for",
    ),
    (
        "bigquery.tf",
        '"roles/bigquery.dataViewer"',
        '"roles/bigquery.dataEditor"',
        "others_may_do_what_they_were_named_for",
    ),
    (
        "variables_data.tf",
        _MEMBERS.format("publishers"),
        _MEMBERS.format("publishers").replace("alltrue([", "alltrue([true]) || alltrue(["),
        "the_public_is_no_publisher",
    ),
    (
        "variables_data.tf",
        _MEMBERS.format("dataset_readers"),
        _MEMBERS.format("dataset_readers").replace("alltrue([", "alltrue([true]) || alltrue(["),
        "the_public_is_no_reader",
    ),
]

MUTATIONS = [
    Mutation(file, old, new, test, noticed_by)
    for test, group in (
        ("gates", _GATES),
        ("identities", _IDENTITIES),
    )
    for file, old, new, noticed_by in group
]
