"""Before: the project, its billing, its APIs, and what the caller may do there. Pure."""

from collections.abc import Sequence

from sluice.ops.preflight.check import Ask
from sluice.ops.preflight.finding import Failed, Finding, Held
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment

RESOURCES, USAGE = "cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"
FIRST_APIS = (RESOURCES, "iam.googleapis.com", "iamcredentials.googleapis.com", "pubsub.googleapis.com", USAGE)
"""Those that Terraform needs before it can enable the others."""
OTHER_APIS = (
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerystorage.googleapis.com",
    "cloudtrace.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
    "telemetry.googleapis.com",
)
NEEDED = {
    "artifactregistry.repositories.create": "roles/artifactregistry.admin",
    "bigquery.datasets.create": "roles/bigquery.admin",
    "bigquery.routines.create": "roles/bigquery.admin",
    "cloudscheduler.jobs.create": "roles/cloudscheduler.admin",
    "iam.roles.create": "roles/iam.roleAdmin",
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "iam.serviceAccounts.create": "roles/iam.serviceAccountAdmin",
    "iam.serviceAccounts.setIamPolicy": "roles/iam.serviceAccountAdmin",
    "iam.workloadIdentityPools.create": "roles/iam.workloadIdentityPoolAdmin",
    "logging.exclusions.create": "roles/logging.configWriter",
    "monitoring.alertPolicies.create": "roles/monitoring.admin",
    "monitoring.dashboards.create": "roles/monitoring.admin",
    "pubsub.subscriptions.create": "roles/pubsub.admin",
    "pubsub.topics.setIamPolicy": "roles/pubsub.admin",
    "resourcemanager.projects.setIamPolicy": "roles/resourcemanager.projectIamAdmin",
    "run.services.create": "roles/run.admin",
    "run.services.setIamPolicy": "roles/run.admin",
    "secretmanager.secrets.create": "roles/secretmanager.admin",
    "serviceusage.services.enable": "roles/serviceusage.serviceUsageAdmin",
    "storage.buckets.create": "roles/storage.admin",
}
"""What the bootstrap and the first apply do, and the narrowest predefined role that allows it."""


def _project_questions(deployment: Deployment) -> Sequence[Question]:
    return [Question(RESOURCES, f"v3/projects/{deployment.project}")]


def judge_project(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that the project is active, and that its number is the one that the variables name.

    https://cloud.google.com/resource-manager/reference/rest/v3/projects#Project
    """
    (answer,) = answers
    if not answer.is_good:  # Google answers 403 for a project that does not exist, as for one that is not yours
        return Failed(
            f"the project {deployment.project} does not exist, or your account does not see it",
            "correct project_id, create the project, or `gcloud auth application-default login` as its owner",
        )
    number = str(answer.body.get("name", "")).removeprefix("projects/")
    if answer.body.get("state") != "ACTIVE":
        state = answer.body.get("state")
        return Failed(f"the project {deployment.project} is {state}", "restore it, or choose another project_id")
    if deployment.number and deployment.number != number:
        return Failed(
            f"the project {deployment.project} has the number {number}, and project_number is {deployment.number}",
            f'write project_number = "{number}": Pub/Sub\'s own account is named by it',
        )
    return Held(f"{deployment.project} is active, and its number is {number}")


def _billing_questions(deployment: Deployment) -> Sequence[Question]:
    return [Question("cloudbilling.googleapis.com", f"v1/projects/{deployment.project}/billingInfo")]


def judge_billing(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that billing is enabled: https://cloud.google.com/billing/docs/reference/rest/v1/ProjectBillingInfo."""
    if answers[0].body.get("billingEnabled"):
        return Held("billing is enabled")
    return Failed(
        "billing is not enabled, and most APIs refuse a project without it",
        f"`gcloud billing projects link {deployment.project} --billing-account=ACCOUNT`",
    )


def _api_questions(deployment: Deployment) -> Sequence[Question]:
    names = [f"projects/{deployment.project}/services/{api}" for api in sorted((*FIRST_APIS, *OTHER_APIS))]
    path = f"v1/projects/{deployment.project}/services:batchGet"
    return [
        Question(USAGE, path, query=tuple(("names", name) for name in names[at : at + 20]))
        for at in range(0, len(names), 20)
    ]


def _disabled(answers: Sequence[Answer]) -> list[str]:
    services = [service for answer in answers for service in answer.body.get("services", ())]
    return sorted(str(each["name"]).rpartition("/")[2] for each in services if each.get("state") != "ENABLED")


def judge_first_apis(_: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the APIs that Terraform needs to enable the others.

    https://cloud.google.com/service-usage/docs/reference/rest/v1/services/batchGet
    """
    off = _disabled(answers)
    if missing := [api for api in off if api in FIRST_APIS]:
        return Failed(f"{', '.join(missing)}: not enabled", f"`gcloud services enable {' '.join(missing)}`")
    return Held(f"the APIs that Terraform begins with are enabled; it has {len(off)} more to enable")


def judge_all_apis(_: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that every API that the deployment uses is enabled."""
    if off := _disabled(answers):
        return Failed(f"{', '.join(off)}: not enabled", "`terraform apply`, which enables every API that is used")
    return Held("every API is enabled")


def _permission_questions(deployment: Deployment) -> Sequence[Question]:
    path = f"v3/projects/{deployment.project}:testIamPermissions"
    return [Question(RESOURCES, path, {"permissions": sorted(NEEDED)}, method="POST")]


def judge_permissions(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check what the caller may do.

    https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions
    """
    granted = set(answers[0].body.get("permissions", ()))
    missing = sorted(NEEDED.keys() - granted)
    if not missing:
        return Held(f"your account has the {len(NEEDED)} permissions of the bootstrap and the first apply")
    roles = sorted({NEEDED[permission] for permission in missing})
    return Failed(
        f"your account lacks {', '.join(missing)} on {deployment.project}",
        f"let an owner grant {', '.join(roles)}",
    )


CHECKS = (
    Ask(
        name="project",
        phase="before",
        needs="nothing",
        about="the project exists, is active, and has the number that the variables name",
        questions=_project_questions,
        verdict=judge_project,
        judges={403, 404},
    ),
    Ask(
        name="billing",
        phase="before",
        needs="nothing",
        about="billing is enabled",
        questions=_billing_questions,
        verdict=judge_billing,
    ),
    Ask(
        name="first-apis",
        phase="before",
        needs="nothing",
        about="the APIs that Terraform needs to enable the others are enabled",
        questions=_api_questions,
        verdict=judge_first_apis,
    ),
    Ask(
        name="permissions",
        phase="before",
        needs="nothing",
        about="your account may do what the bootstrap and the first apply do",
        questions=_permission_questions,
        verdict=judge_permissions,
    ),
)
AFTER = (
    Ask(
        name="apis",
        phase="after",
        needs="nothing",
        about="every API that the deployment uses is enabled",
        questions=_api_questions,
        verdict=judge_all_apis,
    ),
)
