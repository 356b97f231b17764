"""The state of a healthy project, as plain JSON: `resources[host/path]`, and what is computed from a request.

Shapes are those of the references that the preflight cites. A test breaks a project by changing one of its members.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.schema.table import Table

PROJECT, NUMBER, REGION, SYSTEM = "my-company-sluice-dev", "100000000001", "europe-west1", "sluice"
PUSHER = f"{SYSTEM}-push@{PROJECT}.iam.gserviceaccount.com"
READER = f"reader@{PROJECT}.iam.gserviceaccount.com"
SERVICE = f"{SYSTEM}-service@{PROJECT}.iam.gserviceaccount.com"
AGENT = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
URL = "https://sluice-100000000001.europe-west1.run.app"
RETENTION_DAYS = 400
_P = f"projects/{PROJECT}"

RUN = f"run.googleapis.com/v2/{_P}/locations/{REGION}/services/{SYSTEM}"
SUBSCRIPTION = f"pubsub.googleapis.com/v1/{_P}/subscriptions/{SYSTEM}-push"
DEAD_TOPIC = f"pubsub.googleapis.com/v1/{_P}/topics/{SYSTEM}-dead-letters"
ACCOUNT = f"iam.googleapis.com/v1/{_P}/serviceAccounts/{PUSHER}"
RESOURCES = f"cloudresourcemanager.googleapis.com/v3/{_P}"
DATASET = f"bigquery.googleapis.com/bigquery/v2/{_P}/datasets/{SYSTEM}"
ENVIRON = {
    "SLUICE_RECORD": "app.record:Record",
    "SLUICE_BACKEND": "bigquery",
    "SLUICE_HOST": "0.0.0.0",  # noqa: S104 - what Terraform writes
    "SLUICE_BIGQUERY_PROJECT": PROJECT,
    "SLUICE_BIGQUERY_DATASET": SYSTEM,
    "SLUICE_BIGQUERY_LOCATION": "EU",
    "SLUICE_PLATFORM_IAM": "off",
    "SLUICE_PUSH_AUDIENCE": f"{PROJECT}/{SYSTEM}/push",
    "SLUICE_PUSH_PRINCIPALS": PUSHER,
    "SLUICE_API_AUDIENCE": f"{PROJECT}/{SYSTEM}",
    "SLUICE_API_PRINCIPALS": READER,
    "SLUICE_HEARTBEAT_SIGNATURE": "0123456789abcdef" * 4,
    "SLUICE_ACK_DEADLINE_S": "60",
    "SLUICE_RETRY_BACKOFF_MAX_S": "600",
    "SLUICE_DEDUPE_LOOKBACK_S": "900",
    "SLUICE_RETENTION_DAYS": str(RETENTION_DAYS),
    "SLUICE_ID_INDEX": "true",
    "SLUICE_WATERMARKS": "read",
    "SLUICE_METRICS": "cloud",
    "SLUICE_TRACES": "cloud",
}
ON_PROJECT = (
    "roles/bigquery.jobUser",
    "roles/cloudtrace.agent",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/telemetry.metricsWriter",
)
"""The roles of the service on its project."""


class Project(msgspec.Struct):
    """Everything that can be asked of one project. Each member is changed in place.

    `off` are disabled APIs, which answer as Google does; `forbidden` are paths that the caller may not ask. `journeys`
    answers what is not a resource: pubsub.py.
    """

    resources: dict[str, dict[str, Any]]
    environ: dict[str, str]
    off: set[str] = msgspec.field(default_factory=set)
    forbidden: set[str] = msgspec.field(default_factory=set)
    may_impersonate: bool = True
    make_token: Callable[[str], str] | None = None
    journeys: Callable[[str, dict[str, list[str]], dict[str, Any] | None], dict[str, Any] | None] | None = None
    token_claims: dict[str, Any] = msgspec.field(default_factory=lambda: {"email": READER, "email_verified": True})

    def service(self) -> dict[str, Any]:
        """Return the Cloud Run service, with the present environment."""
        service: dict[str, Any] = self.resources[RUN]
        env = [{"name": name, "value": value} for name, value in self.environ.items()]
        service["template"]["containers"][0]["env"] = env
        return service

    def token(self, audience: str) -> str:
        """Return an ID token for an audience: from `make_token`, or else with a signature that is never checked."""
        if self.make_token is not None:
            return self.make_token(audience)
        claims = {"aud": audience, "iss": "https://accounts.google.com", **self.token_claims}
        parts = (msgspec.json.encode(part) for part in ({"alg": "RS256"}, claims))
        return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmF0dXJl"])


def healthy(*tables: Table) -> Project:
    """Return a project in which every check holds; `tables` are those of its dataset."""
    resources: dict[str, dict[str, Any]] = {
        RESOURCES: {"name": f"projects/{NUMBER}", "projectId": PROJECT, "state": "ACTIVE"},
        RUN: _service(),
        SUBSCRIPTION: _subscription(),
        f"{SUBSCRIPTION}:getIamPolicy": _policy("roles/pubsub.subscriber"),
        f"{DEAD_TOPIC}:getIamPolicy": _policy("roles/pubsub.publisher"),
        f"{ACCOUNT}:getIamPolicy": _policy("roles/iam.serviceAccountTokenCreator"),
        f"{RESOURCES}:getIamPolicy": _policies(ON_PROJECT, f"serviceAccount:{SERVICE}"),
        **{
            f"{DATASET}/tables/{table.name}:getIamPolicy": _policy(
                "roles/bigquery.dataEditor", f"serviceAccount:{SERVICE}"
            )
            for table in tables
        },
    }
    return Project(resources, dict(ENVIRON))


def _service() -> dict[str, Any]:
    name = f"{_P}/locations/{REGION}/services/{SYSTEM}"
    return {
        "name": name,
        "uri": URL,
        "invokerIamDisabled": True,
        "template": {
            "serviceAccount": SERVICE,
            "containers": [{"image": f"{REGION}-docker.pkg.dev/{PROJECT}/sluice/sluice@sha256:0"}],
        },
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        "latestReadyRevision": f"{name}/revisions/sluice-00002-abc",
        "trafficStatuses": [
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "sluice-00002-abc", "percent": 100}
        ],
    }


def _subscription() -> dict[str, Any]:
    return {
        "name": f"{_P}/subscriptions/{SYSTEM}-push",
        "topic": f"{_P}/topics/{SYSTEM}",
        "state": "ACTIVE",
        "ackDeadlineSeconds": 60,
        "messageRetentionDuration": "604800s",
        "expirationPolicy": {},
        "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
        "deadLetterPolicy": {"deadLetterTopic": f"{_P}/topics/{SYSTEM}-dead-letters", "maxDeliveryAttempts": 100},
        "pushConfig": {
            "pushEndpoint": f"{URL}/pubsub/push",
            "oidcToken": {"serviceAccountEmail": PUSHER, "audience": f"{PROJECT}/{SYSTEM}/push"},
        },
    }


def _policy(role: str, member: str = AGENT) -> dict[str, Any]:
    return _policies([role], member)


def _policies(roles: Sequence[str], member: str) -> dict[str, Any]:
    return {"version": 1, "etag": "BwY", "bindings": [{"role": role, "members": [member]} for role in roles]}
