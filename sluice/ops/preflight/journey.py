"""One record's journey: the smoke test, whose record is published as a canary and read by an account of yours.

A canary is stored like any record, and left out of reads. It carries the signature that the service itself has.
"""

import base64
from collections.abc import Mapping
from typing import Any

from app.ingest.decode.proof import CANARY, SIGNATURE
from app.streams import ATTRIBUTE
from sluice.ops.preflight.checks import PUBSUB, Check, read_subscription
from sluice.ops.preflight.deployment import Deployment
from sluice.ops.preflight.finding import Failed, Finding, Held, NotChecked
from sluice.ops.preflight.google import Google, UnreadableError
from sluice.ops.smoke import check as smoke
from sluice.ops.smoke.client import Client, SmokeError
from sluice.ops.smoke.record import marker, record_of_example
from sluice.ops.smoke.senders import publishing

_CREDENTIALS = "iamcredentials.googleapis.com"


def follow_canary(reader: str, within_s: float = 60.0) -> Check:
    """Return the check that publishes a canary, and reads it as the account `reader`, which the caller impersonates."""

    def check(deployment: Deployment, google: Google) -> Finding:
        names, signature = deployment.names, deployment.settings.auth.heartbeat_signature
        if not signature:
            return NotChecked("the service accepts no canaries (`heartbeat = null`)")
        subscription = read_subscription(deployment, google)
        if subscription is None or not (subscription.get("pushConfig") or {}).get("pushEndpoint"):
            return NotChecked("nothing is pushed (see `push`)")
        if subscription.get("filter") not in {None, "", f'attributes.{ATTRIBUTE} = "{names.stream}"'}:
            return NotChecked(f"a canary may not pass the filter of the subscription: {subscription['filter']}")

        own = {ATTRIBUTE: names.stream} if names.stream else {}

        def publish(data: bytes, attributes: Mapping[str, str]) -> str:
            message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
            try:
                answer = google.ask(PUBSUB, f"v1/{subscription['topic']}:publish", {"messages": [message]})
            except UnreadableError as error:
                raise SmokeError(str(error)) from error
            if answer is None:
                raise SmokeError(f"there is no {subscription['topic']}")
            return str(answer["messageIds"][0])

        token = _token(deployment, google, reader)
        test = smoke.Check(
            Client(deployment.service["uri"], token),
            Client(deployment.ingest["uri"], token),
            has_token=True,
            within_s=within_s,
            api=names.api_path,
        )
        steps = test.run(
            lambda document, field: _record(document, field, f"{names.api_path}/records"),
            publishing(publish, own | {CANARY: "1", SIGNATURE: signature}),
        )
        if not (last := steps[-1]).passed:
            return Failed(f"{last.name}: {last.said.rstrip('.')}", "see the other checks, and /health/ready?strict=1")
        return Held(f"readable {test.visible_s} s after its publication")

    return check


def _record(document: dict[str, Any], id_field: str | None, path: str) -> dict[str, Any]:
    """Return the example of a record, with a new id if the type allows one; reads omit a canary with its own, too."""
    try:
        return record_of_example(document, id_field, marker(), path)
    except SmokeError:
        return record_of_example(document, None, "", path)


def _token(deployment: Deployment, google: Google, reader: str) -> str:
    """Return an ID token of the reader, with the audience of the API.

    https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken
    """
    body = {"audience": deployment.settings.auth.api_audience, "includeEmail": True}
    answer = google.ask(_CREDENTIALS, f"v1/projects/-/serviceAccounts/{reader}:generateIdToken", body)
    if answer is None:
        raise UnreadableError(f"there is no account {reader}")
    return str(answer["token"])
