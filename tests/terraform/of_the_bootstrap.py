"""The ways to break infra/terraform/bootstrap: what each line takes away, and the run that must notice."""

from tests.terraform.mutation import Mutation

_BRANCH = "\"assertion.ref == 'refs/heads/${var.github.branch}'\",\n"
_ENVIRONMENT = "\"assertion.environment == '${var.github.environment}'\",\n"

_GITHUB = [
    (
        "github.tf",
        "assertion.repository_id == '${var.github.repository_id}' && ",
        "",
        "only_this_repositorys_tokens_are_taken",
    ),
    (
        "github.tf",
        "https://token.actions.githubusercontent.com",
        "https://example.com",
        "only_this_repositorys_tokens_are_taken",
    ),
    ("github.tf", _BRANCH, "", "who_changes_things_comes_from_the_branch_and_the_environment"),
    ("github.tf", _ENVIRONMENT, "", "who_changes_things_comes_from_the_branch_and_the_environment"),
    (
        "github.tf",
        "['push', 'workflow_dispatch']",
        "['push', 'pull_request_target']",
        "who_changes_things_comes_from_the_branch_and_the_environment",
    ),
    ("github.tf", "? 'plan' :", "? 'apply' :", "who_changes_things_comes_from_the_branch_and_the_environment"),
    ("identities.tf", '"${local.purposes}/plan"', '"${local.purposes}/apply"', "each_account_has_one_purpose"),
    ("identities.tf", '"${local.purposes}/apply"', '"${local.purposes}/plan"', "each_account_has_one_purpose"),
    ("identities.tf", '"roles/bigquery.metadataViewer"', '"roles/bigquery.dataViewer"', "the_plan_identity_only_looks"),
    ("identities.tf", '"roles/run.viewer"', '"roles/viewer"', "the_plan_identity_only_looks"),
    ("identities.tf", '"logging.exclusions.list"', '"logging.exclusions.delete"', "the_plan_identity_only_looks"),
    ("state.tf", '"roles/storage.objectViewer"', '"roles/storage.objectUser"', "the_plan_identity_only_looks"),
    ("identities.tf", '"roles/run.admin"', '"roles/owner"', "the_apply_identity_cannot_make_itself_owner"),
    (
        "identities.tf",
        '    "roles/cloudtrace.agent",\n',
        '    "roles/cloudtrace.agent",\n    "roles/owner",\n',
        "the_apply_identity_cannot_make_itself_owner",
    ),
    ("state.tf", '"roles/storage.objectUser"', '"roles/storage.admin"', "the_state_is_kept"),
    ("state.tf", "enabled = true", "enabled = false", "the_state_is_kept"),
    ("state.tf", 'deletion_policy             = "PREVENT"', 'deletion_policy = "DELETE"', "the_state_is_kept"),
    ("state.tf", '"enforced"', '"inherited"', "the_state_is_kept"),
    ("variables.tf", '"^[1-9][0-9]*$"', '"^.*$"', "a_name_is_no_repository_id"),
    ("variables.tf", '"^[A-Za-z0-9][A-Za-z0-9._/-]*$"', '"^.*$"', "a_branch_cannot_end_the_quotation"),
]

MUTATIONS = [Mutation(file, old, new, "github", noticed_by, root="bootstrap") for file, old, new, noticed_by in _GITHUB]
