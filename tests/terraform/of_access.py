"""Ways to break infra/terraform: who may call it, and who may do what.

By the run that must notice: a file, what is taken out of it, and what is put there.
"""

from tests.terraform.mutation import mutations_of

_INVOKER_OFF = "invoker_iam_disabled = !local.cloud_run_checks"
_POOL = "workloadIdentityPools/github/attribute.purpose/deploy"
_MEMBERS = "condition     = alltrue([for member in var.{0} : can(regex("

MUTATIONS = [
    *mutations_of(
        "gates",
        {
            "by_default_the_service_is_the_gate": [
                ("cloud_run.tf", _INVOKER_OFF, "invoker_iam_disabled = false"),
                ("cloud_run.tf", "= google_service_account.push.email\n    SLUICE_API_AUD", '= ""\n    SLUICE_API_AUD'),
                ("cloud_run.tf", '"0.0.0.0"', '"127.0.0.1"'),
                ("cloud_run.tf", "SLUICE_PLATFORM_IAM        = var.platform_iam", 'SLUICE_PLATFORM_IAM = "trust"'),
            ],
            "trust_leaves_the_gate_to_cloud_run": [
                ("cloud_run.tf", _INVOKER_OFF, "invoker_iam_disabled = true"),
                ("cloud_run.tf", "SLUICE_PLATFORM_IAM        = var.platform_iam", 'SLUICE_PLATFORM_IAM = "off"'),
                ("cloud_run.tf", "concat(each.value.ingests ? [local.push_audience] : [], [local.api_audience])", "[]"),
                ("cloud_run.tf", '"roles/run.invoker"', '"roles/run.admin"'),
                ("cloud_run.tf", "{ push = google_service_account.push.member }", '{ push = "allUsers" }'),
            ],
            "on_the_way_from_trust_to_off_cloud_run_goes_on_checking": [
                ("cloud_run.tf", _INVOKER_OFF, 'invoker_iam_disabled = var.platform_iam == "off"'),
                (
                    "cloud_run.tf",
                    "custom_audiences = local.cloud_run_checks",
                    'custom_audiences = var.platform_iam == "trust"',
                ),
                ("cloud_run.tf", "} if local.cloud_run_checks", '} if var.platform_iam == "trust"'),
                ("cloud_run.tf", " || var.keep_invoker_check", ""),
            ],
            "trust_without_a_smoke_test_lets_the_push_identity_through_only": [
                ("cloud_run.tf", "var.smoke_test ? { deploy", "true ? { deploy")
            ],
            "the_settings_that_reach_the_container_are_these": [
                ("cloud_run.tf", "for_each = local.env[each.key]", "for_each = local.managed_settings")
            ],
            "there_is_no_third_gate": [("variables_service.tf", '["off", "trust"]', '["off", "trust", "none"]')],
            "invokers_without_trust_are_refused": [
                (
                    "variables_service.tf",
                    'var.platform_iam == "trust" || var.keep_invoker_check ||',
                    'true || var.platform_iam == "trust" || var.keep_invoker_check ||',
                )
            ],
            "everybody_is_no_invoker": [
                (
                    "variables_service.tf",
                    _MEMBERS.format("invokers"),
                    _MEMBERS.format("invokers").replace("alltrue([", "alltrue([true]) || alltrue(["),
                )
            ],
            "api_keys_do_not_pass_cloud_runs_check": [
                ("variables_service.tf", "= !var.grants ||", "= true || !var.grants ||")
            ],
            "the_gate_cannot_be_changed_behind_its_back": [
                ("variables_service.tf", "length(setintersection(", "true || length(setintersection(")
            ],
            "other_peoples_tokens_are_no_tokens": [("variables_service.tf", '"SLUICE_TOKEN_")', '"SLUICE_NOTHING_")')],
            "an_api_that_nobody_may_use_is_refused": [
                ("variables_service.tf", "var.smoke_test || var.grants ||", "true || var.smoke_test || var.grants ||")
            ],
        },
    ),
    *mutations_of(
        "identities",
        {
            "identities_are_separate": [
                (
                    "cloud_run.tf",
                    "service_account                  = google_service_account.service[each.key].email",
                    "service_account = google_service_account.deploy.email",
                ),
                ("cloud_run.tf", "[google_service_account.deploy.email]", "[google_service_account.push.email]"),
                ("pubsub.tf", '"${var.system}-push"\n  display', '"${var.system}-service"\n  display'),
            ],
            "the_service_may_do_what_it_does": [
                ("bigquery.tf", '"roles/bigquery.jobUser"', '"roles/bigquery.admin"'),
                ("bigquery.tf", '"roles/bigquery.dataEditor"', '"roles/bigquery.dataOwner"'),
                ("cloud_run.tf", '"roles/telemetry.metricsWriter"', '"roles/editor"'),
                (
                    "secrets.tf",
                    'secret.grants.id\n  role      = "roles/secretmanager.secretAccessor"',
                    'secret.grants.id\n  role      = "roles/secretmanager.admin"',
                ),
                (
                    "secrets.tf",
                    'secret.signing.id\n  role      = "roles/secretmanager.secretAccessor"',
                    'secret.signing.id\n  role      = "roles/secretmanager.admin"',
                ),
                (
                    "secrets.tf",
                    "secret_id = google_secret_manager_secret.pii.id",
                    "secret_id = google_secret_manager_secret.signing.id",
                ),
            ],
            "the_deploy_workflow_may_deploy": [
                ("deploy_identity.tf", '"roles/run.developer"', '"roles/run.admin"'),
                ("deploy_identity.tf", '"roles/monitoring.viewer"', '"roles/monitoring.admin"'),
                ("artifact_registry.tf", "registry.writer", "registry.repoAdmin"),
                (
                    "deploy_identity.tf",
                    "service_account_id = each.value.name",
                    "service_account_id = google_service_account.push.name",
                ),
                ("deploy_identity.tf", _POOL, "workloadIdentityPools/github/*"),
            ],
            "others_may_do_what_they_were_named_for": [
                (
                    "pubsub.tf",
                    '"roles/pubsub.publisher"\n  member = each.value.member',
                    '"roles/pubsub.editor"\n  member = each.key',
                ),
                (
                    "bigquery.tf",
                    '"roles/bigquery.dataViewer"\n  member     = each.key',
                    '"roles/bigquery.dataEditor"\n  member     = each.key',
                ),
            ],
            "the_public_is_no_publisher": [
                (
                    "variables_data.tf",
                    _MEMBERS.format("publishers"),
                    _MEMBERS.format("publishers").replace("alltrue([", "alltrue([true]) || alltrue(["),
                )
            ],
            "the_public_is_no_reader": [
                (
                    "variables_data.tf",
                    _MEMBERS.format("dataset_readers"),
                    _MEMBERS.format("dataset_readers").replace("alltrue([", "alltrue([true]) || alltrue(["),
                )
            ],
        },
    ),
]
