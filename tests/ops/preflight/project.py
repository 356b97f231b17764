"""A double of Google's APIs: the resources of a healthy project, in the shapes that the checks cite.

A test breaks a project by changing a resource.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec

from sluice.ops.preflight.deployment import Names
from sluice.ops.preflight.google import UnreadableError

PROJECT, REGION, SYSTEM = "my-company-sluice-dev", "europe-west1", "sluice"
PUSHER = f"{SYSTEM}-push@{PROJECT}.iam.gserviceaccount.com"
READER = f"reader@{PROJECT}.iam.gserviceaccount.com"
PUSH_AUDIENCE, API_AUDIENCE = f"{PROJECT}/{SYSTEM}/push", f"{PROJECT}/{SYSTEM}"
SIGNATURE = "0123456789abcdef" * 4
URL = "https://sluice-100000000001.europe-west1.run.app"
PUBSUB = "pubsub.googleapis.com"
SERVICE = f"run.googleapis.com/v2/projects/{PROJECT}/locations/{REGION}/services/{SYSTEM}"
ACCOUNT = f"iam.googleapis.com/v1/projects/-/serviceAccounts/{PUSHER}:getIamPolicy"
ENVIRON = {
    "SLUICE_RECORD": "app.record:Record",
    "SLUICE_BACKEND": "bigquery",
    "SLUICE_HOST": "0.0.0.0",  # noqa: S104 - what Terraform writes
    "SLUICE_BIGQUERY_PROJECT": PROJECT,
    "SLUICE_BIGQUERY_DATASET": SYSTEM,
    "SLUICE_BIGQUERY_LOCATION": "EU",
    "SLUICE_PLATFORM_IAM": "off",
    "SLUICE_PUSH_AUDIENCE": PUSH_AUDIENCE,
    "SLUICE_PUSH_PRINCIPALS": PUSHER,
    "SLUICE_API_AUDIENCE": API_AUDIENCE,
    "SLUICE_API_PRINCIPALS": READER,
    "SLUICE_HEARTBEAT_SIGNATURE": SIGNATURE,
    "SLUICE_ACK_DEADLINE_S": "60",
    "SLUICE_RETRY_BACKOFF_MAX_S": "600",
    "SLUICE_DEDUPE_LOOKBACK_S": "900",
}


class Project(msgspec.Struct):
    """Answers from its resources, by host and path; `forbidden` is a part of what the caller may not ask."""

    names: Names
    resources: dict[str, Any]
    environ: dict[str, str]
    forbidden: str = "nothing"

    @property
    def subscription(self) -> str:
        """The path of the push subscription."""
        return f"{PUBSUB}/v1/{self.names.subscription}"

    @property
    def dead_letter_topic(self) -> str:
        """The path of the topic of dead letters."""
        return f"{PUBSUB}/v1/{self.names.dead_letter_topic}"

    def ask(self, host: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """Return the resource."""
        key = f"{host}/{path}"
        if self.forbidden in key:
            raise UnreadableError(f"{host} answered 403: Permission denied")
        found: dict[str, Any] | None = deepcopy(self.resources.get(key))
        if key == SERVICE and found is not None:
            env = [{"name": name, "value": value} for name, value in self.environ.items()]
            found["template"]["containers"][0]["env"] = env
        return found


def healthy(stream: str = "") -> Project:
    """Return a project in which every check holds, for a single type or for a stream."""
    names = Names(project=PROJECT, region=REGION, stream=stream)
    project = Project(names, {SERVICE: _service(), ACCOUNT: _policy("iam.serviceAccountTokenCreator")}, dict(ENVIRON))
    if stream:
        del project.environ["SLUICE_RECORD"]
        project.environ["SLUICE_STREAMS"] = "tests.streams.market:STREAMS"
    project.resources |= {
        project.subscription: {
            "topic": f"projects/{PROJECT}/topics/{SYSTEM}",
            "state": "ACTIVE",
            "ackDeadlineSeconds": 60,
            "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
            "deadLetterPolicy": {"deadLetterTopic": names.dead_letter_topic, "maxDeliveryAttempts": 100},
            "pushConfig": {
                "pushEndpoint": URL + names.push_path,
                "oidcToken": {"serviceAccountEmail": PUSHER, "audience": PUSH_AUDIENCE},
            },
        },
        f"{PUBSUB}/v1/{names.dead_letter_subscription}": {"topic": names.dead_letter_topic},
        f"{project.subscription}:getIamPolicy": _policy("pubsub.subscriber"),
        f"{project.dead_letter_topic}:getIamPolicy": _policy("pubsub.publisher"),
    }
    return project


def _service() -> dict[str, Any]:
    return {
        "uri": URL,
        "invokerIamDisabled": True,
        "template": {"containers": [{"image": f"{REGION}-docker.pkg.dev/{PROJECT}/sluice/sluice@sha256:0"}]},
        "latestReadyRevision": f"projects/{PROJECT}/locations/{REGION}/services/{SYSTEM}/revisions/sluice-00002-abc",
        "trafficStatuses": [
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "sluice-00002-abc", "percent": 100}
        ],
    }


def _policy(role: str) -> dict[str, Any]:
    agent = "serviceAccount:service-100000000001@gcp-sa-pubsub.iam.gserviceaccount.com"
    return {"bindings": [{"role": f"roles/{role}", "members": [agent]}]}
