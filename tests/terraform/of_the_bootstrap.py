"""The ways to break infra/terraform/bootstrap: what each line takes away, and the run that must notice."""

from tests.terraform.mutation import mutations_of

_BRANCH = "\"assertion.ref == 'refs/heads/${var.github.branch}'\",\n"
_ENVIRONMENT = "\"assertion.environment == '${var.github.environment}'\",\n"

MUTATIONS = [
    *mutations_of(
        "github",
        {
            "only_this_repositorys_tokens_are_taken": [
                ("github.tf", "assertion.repository_id == '${var.github.repository_id}' && ", ""),
                ("github.tf", "https://token.actions.githubusercontent.com", "https://example.com"),
            ],
            "who_changes_things_comes_from_the_branch_and_the_environment": [
                ("github.tf", _BRANCH, ""),
                ("github.tf", _ENVIRONMENT, ""),
                ("github.tf", "['push', 'workflow_dispatch']", "['push', 'pull_request_target']"),
                ("github.tf", "? 'plan' :", "? 'apply' :"),
            ],
            "each_account_has_one_purpose": [
                ("identities.tf", '"${local.purposes}/plan"', '"${local.purposes}/apply"'),
                ("identities.tf", '"${local.purposes}/apply"', '"${local.purposes}/plan"'),
            ],
            "the_plan_identity_only_looks": [
                ("identities.tf", '"roles/bigquery.metadataViewer"', '"roles/bigquery.dataViewer"'),
                ("identities.tf", '"roles/run.viewer"', '"roles/viewer"'),
                ("identities.tf", '"logging.exclusions.list"', '"logging.exclusions.delete"'),
                ("state.tf", '"roles/storage.objectViewer"', '"roles/storage.objectUser"'),
            ],
            "the_apply_identity_cannot_make_itself_owner": [
                ("identities.tf", '"roles/run.admin"', '"roles/owner"'),
                (
                    "identities.tf",
                    '    "roles/cloudtrace.agent",\n',
                    '    "roles/cloudtrace.agent",\n    "roles/owner",\n',
                ),
            ],
            "the_state_is_kept": [
                ("state.tf", '"roles/storage.objectUser"', '"roles/storage.admin"'),
                ("state.tf", "enabled = true", "enabled = false"),
                ("state.tf", 'deletion_policy             = "PREVENT"', 'deletion_policy = "DELETE"'),
                ("state.tf", '"enforced"', '"inherited"'),
            ],
            "a_name_is_no_repository_id": [("variables.tf", '"^[1-9][0-9]*$"', '"^.*$"')],
            "a_branch_cannot_end_the_quotation": [("variables.tf", '"^[A-Za-z0-9][A-Za-z0-9._/-]*$"', '"^.*$"')],
        },
        root="bootstrap",
    )
]
