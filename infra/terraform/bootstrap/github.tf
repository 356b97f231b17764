# GitHub's workflows act on the project without a key: GitHub signs a token for each run that says what it is, and Google
# exchanges it for a short-lived token of an account here. What a token is good for is worked out below, once:
#
#   plan     a pull request of this repository: it may look, and change nothing
#   apply    infra.yml, on this environment's branch, in a job of this GitHub environment
#   deploy   deploy.yml, likewise
#
# Every other token is refused: of other repositories, forks included; of other branches, whatever their workflow says;
# of other events, pull_request_target among them, which runs on the branch and at a stranger's wish; of other workflows;
# and of a job outside of the environment, whose approvals it would have gone around.

locals {
  is_pull_request = "assertion.event_name == 'pull_request'"

  is_delivery = join(" && ", [
    "assertion.event_name in ['push', 'workflow_dispatch']",
    "assertion.ref == 'refs/heads/${var.github.branch}'",
    "assertion.environment == '${var.github.environment}'",
  ])

  # workflow_ref: owner/name/.github/workflows/deploy.yml@refs/heads/main
  is_apply  = "assertion.workflow_ref.contains('/.github/workflows/infra.yml@refs/heads/${var.github.branch}')"
  is_deploy = "assertion.workflow_ref.contains('/.github/workflows/deploy.yml@refs/heads/${var.github.branch}')"
}

resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = var.workload_identity_pool
  display_name              = "GitHub Actions"

  depends_on = [google_project_service.used]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }

  attribute_mapping = {
    "google.subject" = "assertion.sub"

    # A pull request's token may have no environment at all, so that is asked first.
    "attribute.purpose" = "${local.is_pull_request} ? 'plan' : ${local.is_apply} ? 'apply' : ${local.is_deploy} ? 'deploy' : 'none'"
  }

  attribute_condition = "assertion.repository_id == '${var.github.repository_id}' && (${local.is_pull_request} || (${local.is_delivery} && (${local.is_apply} || ${local.is_deploy})))"
}
