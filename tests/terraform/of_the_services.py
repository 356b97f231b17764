"""Ways to break infra/terraform: one service or two, and what each may do.

By the run that must notice: a file, what is taken out of it, and what is put there.
"""

from tests.terraform.mutation import mutations_of

_QUERIES = "} if service.queries\n"

MUTATIONS = [
    *mutations_of(
        "services",
        {
            "one_service_does_both": [
                ("services.tf", 'if key == "main" || local.two_services }', "}"),
                ("services.tf", "queries     = true\n", "queries = false\n"),
            ],
            "two_services_share_an_image_and_divide_the_roles": [
                ("services.tf", "ingests     = !local.two_services", "ingests = true"),
                ("services.tf", 'ingest_key = local.two_services ? "ingest" : "main"', 'ingest_key = "main"'),
                ("services.tf", 'SLUICE_PUSH_PRINCIPALS = "", ', ""),
                ("services.tf", ', SLUICE_HEARTBEAT_SIGNATURE = ""', ""),
                ("cloud_run.tf", "for_each = local.env[each.key]", 'for_each = local.env["main"]'),
                ("heartbeat.tf", " && !local.two_services", ""),
            ],
            "each_of_two_has_the_rights_of_its_role_only": [
                ("bigquery.tf", "service.ingests || var.erasure ?", "true ?"),
                ("bigquery.tf", _QUERIES, "}\n"),
                ("secrets.tf", "key => service if service.ingests }", "key => service }"),
                (
                    "secrets.tf",
                    "for_each = local.services\n\n  secret_id = google_secret_manager_secret.pii",
                    'for_each = { main = local.services["main"] }\n\n  secret_id = google_secret_manager_secret.pii',
                ),
                (
                    "secrets.tf",
                    'secret.pii.id\n  role      = "roles/secretmanager.secretAccessor"',
                    'secret.pii.id\n  role      = "roles/secretmanager.admin"',
                ),
                (
                    "cloud_run.tf",
                    "google_service_account.service[each.key].email",
                    'google_service_account.service["main"].email',
                ),
                (
                    "deploy_identity.tf",
                    "for_each = google_cloud_run_v2_service.main",
                    'for_each = { main = google_cloud_run_v2_service.main["main"] }',
                ),
            ],
            "with_one_service_no_right_changes_its_place": [("services.tf", 'prefix      = ""', 'prefix = "main "')],
            "secrets_and_the_cache_are_where_they_are_used": [
                ("cloud_run.tf", "var.signing && each.value.ingests ?", "var.signing ?"),
                (
                    "cloud_run.tf",
                    "for_each = var.pii_secret_version[*]",
                    "for_each = each.value.ingests ? var.pii_secret_version[*] : []",
                ),
                (
                    "cloud_run.tf",
                    "each.value.queries ? google_compute_subnetwork.cache : []",
                    "google_compute_subnetwork.cache",
                ),
                ("services.tf", '{ SLUICE_CACHE_URL = "" }', "{}"),
            ],
            "each_of_two_has_a_size_of_its_own": [
                ("services.tf", "coalesce(var.ingest_size.cpu, var.cpu)", "var.cpu"),
                ("services.tf", "coalesce(var.ingest_size.concurrency, var.concurrency)", "var.concurrency"),
                (
                    "services.tf",
                    "== null ? var.instances : var.ingest_size.instances",
                    "== null ? var.instances : var.instances",
                ),
            ],
            "erasure_takes_the_right_to_delete": [("bigquery.tf", "service.ingests || var.erasure", "service.ingests")],
            "with_trust_pub_sub_reaches_the_one_that_ingests": [
                ("cloud_run.tf", "service.ingests ? { push", "true ? { push"),
                ("cloud_run.tf", "each.value.ingests ? [local.push_audience] : []", "[local.push_audience]"),
            ],
            "pushes_never_move_to_the_sample": [
                ("cloud_run.tf", "= !(local.two_services &&", "= true || !(local.two_services &&")
            ],
            "three_services_are_refused": [("variables_service.tf", '["one", "two"]', '["one", "two", "three"]')],
            "a_size_for_no_service_is_refused": [
                ("variables_service.tf", '= var.services == "two" ||', '= true || var.services == "two" ||')
            ],
            "a_size_that_makes_no_sense_is_refused": [
                ("variables_service.tf", " && var.ingest_size.instances.max <= 100", "")
            ],
        },
    ),
]
