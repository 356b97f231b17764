"""What Pub/Sub's own account may do, and whether a reader's token opens the API. Pure."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.schema.table import REJECTS
from sluice.ops.preflight.check import Ask, first_failure
from sluice.ops.preflight.finding import Failed, Finding, NotLooked
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment
from sluice.ops.preflight.subscription import PUBSUB

_READS = ("roles/bigquery.dataEditor", "roles/bigquery.dataViewer")
"""Either lets an account read a table; the first one lets it append, too."""
BIGQUERY = "bigquery.googleapis.com"
CREDENTIALS = "iamcredentials.googleapis.com"


def _agent(deployment: Deployment, number: str) -> str:
    return f"serviceAccount:service-{number or deployment.number}@gcp-sa-pubsub.iam.gserviceaccount.com"


def _agent_questions(deployment: Deployment) -> Sequence[Question]:
    account = ", ".join(deployment.settings.auth.push_principals[:1])
    return [
        Question("cloudresourcemanager.googleapis.com", f"v3/projects/{deployment.project}"),
        Question(PUBSUB, f"v1/{deployment.dead_letter_topic}:getIamPolicy"),
        Question(PUBSUB, f"v1/{deployment.subscription}:getIamPolicy"),
        Question(
            "iam.googleapis.com",
            f"v1/projects/{deployment.project}/serviceAccounts/{account}:getIamPolicy",
            method="POST",
        ),
    ]


def judge_agent(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the three roles of Pub/Sub's own account; without them dead letters stay, and pushes carry no token.

    https://cloud.google.com/pubsub/docs/dead-letter-topics#granting_forwarding_permissions,
    https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
    """
    project, topic, subscription, account = answers
    agent = _agent(deployment, str(project.body.get("name", "")).removeprefix("projects/"))
    needs = (
        (topic, "roles/pubsub.publisher", "the dead-letter topic"),
        (subscription, "roles/pubsub.subscriber", "the push subscription"),
        (account, "roles/iam.serviceAccountTokenCreator", "the push identity"),
    )
    failures = [
        Failed(f"{agent} lacks {role} on {where}", "`terraform apply`")
        for answer, role, where in needs
        if agent not in _members(answer, role)
    ]
    return first_failure(failures, "Pub/Sub's account may forward dead letters and sign pushes")


def _members(answer: Answer, role: str) -> set[str]:
    bindings = answer.body.get("bindings") or ()
    return {member for each in bindings if each.get("role") == role for member in each.get("members") or ()}


def _project_policy(project: str) -> Question:
    return Question("cloudresourcemanager.googleapis.com", f"v3/projects/{project}:getIamPolicy", method="POST")


def _service_questions(deployment: Deployment) -> Sequence[Question]:
    tables = f"bigquery/v2/projects/{deployment.data_project}/datasets/{deployment.dataset_id}/tables"
    return [
        _project_policy(deployment.data_project),
        *(Question(BIGQUERY, f"{tables}/{name}:getIamPolicy", method="POST") for name in (deployment.table, REJECTS)),
    ]


def _account(service: Mapping[str, Any] | None) -> str:
    return str(((service or {}).get("template") or {}).get("serviceAccount", ""))


def judge_service_account(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the roles of the account that the service runs as: the other checks ask as you, not as the service.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/getIamPolicy
    """
    project, *tables = answers
    queries = _account(deployment.service)
    ingests = _account(deployment.ingest_service or deployment.service)
    names = (deployment.table, REJECTS)
    needs = [
        (queries, project, ("roles/bigquery.jobUser",), "the project"),
        *((queries, answer, _READS, name) for answer, name in zip(tables, names, strict=True)),
        *((ingests, answer, _READS[:1], name) for answer, name in zip(tables, names, strict=True)),
    ]
    failures = [
        Failed(f"{account} lacks {roles[0] if account == ingests else roles[-1]} on {where}", "`terraform apply`")
        for account, answer, roles, where in needs
        if not any(f"serviceAccount:{account}" in _members(answer, role) | _members(project, role) for role in roles)
    ]
    return first_failure(failures, f"{' and '.join(dict.fromkeys([ingests, queries]))} may append and query")


def token_question(deployment: Deployment) -> Question:
    """Return the question for an ID token of the reader, with the audience of the API.

    https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken
    """
    body = {"audience": deployment.settings.auth.api_audience, "includeEmail": True}
    path = f"v1/projects/-/serviceAccounts/{deployment.reader}:generateIdToken"
    return Question(CREDENTIALS, path, body, method="POST")


def _token_questions(deployment: Deployment) -> Sequence[Question]:
    return [token_question(deployment)] if deployment.reader else []


def judge_reader(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that the reader's token has the audience and the e-mail that the service accepts."""
    if not deployment.reader:
        return NotLooked("no reader was named: give --reader EMAIL, an account that you may impersonate")
    (answer,) = answers
    if not answer.is_good:
        return Failed(
            f"you cannot get a token of {deployment.reader}: {answer.message}",
            "`gcloud iam service-accounts add-iam-policy-binding` with roles/iam.serviceAccountTokenCreator",
        )
    claims, auth = _claims(str(answer.body.get("token", ""))), deployment.settings.auth
    failures = []
    if claims.get("aud") != auth.api_audience:
        failures.append(
            Failed(f"the token is for {claims.get('aud')}, not for {auth.api_audience}", "correct api_audience")
        )
    if claims.get("email") not in auth.api_principals and not auth.grants_file:
        failures.append(
            Failed(
                f"the service does not know {claims.get('email')}: SLUICE_API_PRINCIPALS names "
                f"{', '.join(auth.api_principals) or 'nobody'}",
                f'add "{deployment.reader}" to api_principals, and apply',
            )
        )
    return first_failure(failures, f"{deployment.reader} gets tokens that the service accepts")


def _claims(token: str) -> dict[str, Any]:
    """Return a token's claims, unverified: they come from Google itself."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


CHECKS = (
    Ask(
        name="pubsub-account",
        needs="streams",
        about="Pub/Sub's own account may forward dead letters and sign pushes",
        questions=_agent_questions,
        verdict=judge_agent,
    ),
    Ask(
        name="service-account",
        needs="streams",
        about="the account of the service may append to the tables and run queries",
        questions=_service_questions,
        verdict=judge_service_account,
    ),
    Ask(
        name="reader",
        about="tokens of --reader have the audience and the e-mail that the service accepts",
        questions=_token_questions,
        verdict=judge_reader,
        judges={400, 403, 404},
    ),
)
