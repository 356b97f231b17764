"""After: a canary followed from topic to feed, and a dead letter followed back to its topic. Both publish.

The messages are canaries: stored like any record, and left out of reads. They are signed with the signature that the
service itself has, and need a reader, whose token opens the API.
"""

import base64
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from app.ingest.proof import CANARY, SIGNATURE
from app.preflight.access import token_question
from app.preflight.check import Act, unreadable
from app.preflight.finding import Failed, Finding, Held, NotLooked
from app.preflight.google import Answer, Google, Question
from app.preflight.plan import Deployment
from app.preflight.subscription import PUBSUB
from app.preflight.tables import tables_of
from app.record import RecordTypeError
from app.schema.example import example_record

FORWARDED = "CloudPubSubDeadLetterSource"
MARK = "sluice-preflight"
VISIBLE_WITHIN_S = 60.0
"""The objective: data is readable within a minute."""
_PULL_WITHIN_S = 30.0
_PAUSE_S = 0.5


class _StopError(Exception):
    def __init__(self, finding: Failed | NotLooked) -> None:
        super().__init__()
        self.finding = finding


def follow_canary(deployment: Deployment, google: Google) -> Finding:
    """Publish a canary and follow it to the feed."""
    try:
        token = _reader_token(deployment, google)
        message_id = _publish(google, deployment.topic, _canary(deployment))
        return Held(f"a canary was {_follow(deployment, google, token, message_id)}")
    except _StopError as stopped:
        return stopped.finding


def follow_dead_letter(deployment: Deployment, google: Google) -> Finding:
    """Publish a dead letter, take it from its subscription, replay it as `dev redrive` does, follow it to the feed.

    Pub/Sub itself forwards a message only after a hundred refusals, which takes hours: `pubsub-account` checks the
    roles that this needs.
    """
    try:
        token = _reader_token(deployment, google)
        mark, message = str(uuid.uuid4()), _canary(deployment)
        marks = {MARK: mark, f"{FORWARDED}Subscription": deployment.subscription.rpartition("/")[2]}
        dead = {**message, "attributes": {**message["attributes"], **marks}}
        _publish(google, deployment.dead_letter_topic, dead)
        ack_id = _pull(deployment, google, mark)
        message_id = _publish(google, deployment.topic, message)
        _ask(google, deployment.dead_letter_subscription, "acknowledge", {"ackIds": [ack_id]})
        return Held(f"a dead letter was kept, and its replay {_follow(deployment, google, token, message_id)}")
    except _StopError as stopped:
        return stopped.finding


def _reader_token(deployment: Deployment, google: Google) -> str:
    if not deployment.reader:
        raise _StopError(NotLooked("no reader was named: give --reader EMAIL, an account that you may impersonate"))
    question = token_question(deployment)
    answer = google.ask(question)
    if (trouble := unreadable(question, answer, ())) is not None:
        raise _StopError(trouble)
    return str(answer.body["token"])


def _canary(deployment: Deployment) -> dict[str, Any]:
    signature = deployment.settings.auth.heartbeat_signature
    if not signature:
        raise _StopError(NotLooked("the service accepts no canaries (`heartbeat = null`)"))
    try:
        record = example_record(tables_of(deployment)[0])
    except RecordTypeError as error:
        raise _StopError(NotLooked(f"the record type of the service cannot be loaded here: {error}")) from error
    if record is None:
        raise _StopError(NotLooked("no valid example can be derived from the record type"))
    data = base64.b64encode(msgspec.json.encode(record)).decode()
    return {"data": data, "attributes": {CANARY: "1", SIGNATURE: signature}}


def _ask(google: Google, name: str, verb: str, body: Mapping[str, Any]) -> Answer:
    question = Question(PUBSUB, f"v1/{name}:{verb}", body, method="POST")
    answer = google.ask(question)
    if answer.status == 404:
        raise _StopError(Failed(f"there is no {name}", "`terraform apply`"))
    if (trouble := unreadable(question, answer, ())) is not None:
        raise _StopError(trouble)
    return answer


def _publish(google: Google, topic: str, message: Mapping[str, Any]) -> str:
    """Return the id of the message: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish."""
    return str(_ask(google, topic, "publish", {"messages": [message]}).body["messageIds"][0])


def _pull(deployment: Deployment, google: Google, mark: str) -> str:
    """Return the ack id of the marked message; every other dead letter is put back."""
    source, others = deployment.dead_letter_subscription, list[str]()
    deadline = time.monotonic() + _PULL_WITHIN_S
    try:
        while time.monotonic() < deadline:
            received = _ask(google, source, "pull", {"maxMessages": 100}).body.get("receivedMessages", ())
            for each in received:
                if (each["message"].get("attributes") or {}).get(MARK) == mark:
                    return str(each["ackId"])
                others.append(str(each["ackId"]))
            time.sleep(_PAUSE_S)
    finally:
        if others:
            _ask(google, source, "modifyAckDeadline", {"ackIds": others, "ackDeadlineSeconds": 0})
    raise _StopError(
        Failed(
            f"a message of {deployment.dead_letter_topic} did not reach {source} within {_PULL_WITHIN_S:g} s",
            "`terraform apply`: without that subscription dead letters are lost",
        )
    )


def _follow(deployment: Deployment, google: Google, token: str, message_id: str) -> str:
    """Return how long it took; the feed is asked as a consumer asks."""
    began = time.monotonic()
    query = {"since": "-PT5M", "message_id": message_id, "heartbeat": "include"}
    answer = Answer(0, failure="it was not asked")
    while time.monotonic() - began < VISIBLE_WITHIN_S:
        answer = google.ask_service(f"{deployment.url}/v1/records", query, token)
        if answer.status in {401, 403}:
            raise _StopError(
                Failed(f"the API refuses the reader: {answer.message}".rstrip("."), "see the check `reader`")
            )
        if answer.is_good and answer.body.get("records"):
            return _times(answer.body["records"][0], time.monotonic() - began)
        time.sleep(_PAUSE_S)
    rejects = google.ask_service(f"{deployment.url}/v1/rejects", {"since": "-PT5M", "message_id": message_id}, token)
    if rejects.is_good and rejects.body.get("records"):
        reason = rejects.body["records"][0]
        raise _StopError(
            Failed(f"it was rejected: {reason.get('reason')}, {reason.get('detail')}", "deploy the image of this type")
        )
    said = f": {answer.message}" if not answer.is_good else ""
    raise _StopError(
        Failed(
            f"it was published and is not readable after {VISIBLE_WITHIN_S:g} s{said}",
            "see the checks of the subscription, and /health/ready?strict=1 of the service",
        )
    )


def _times(row: Mapping[str, Any], visible_s: float) -> str:
    published, stored = (datetime.fromisoformat(str(row[name])) for name in ("publish_time", "ingest_time"))
    stored_s = (stored - published).total_seconds()
    return f"stored {stored_s:.1f} s after its publication, and readable after {visible_s:.1f} s"


CHECKS = (
    Act(
        name="canary",
        phase="after",
        about="a canary is stored and readable within a minute (publishes one: --canary)",
        run=follow_canary,
        flag="canary",
    ),
    Act(
        name="dead-letter",
        phase="after",
        about="a dead letter is kept and can be replayed (publishes one, which raises its alert: --dead-letter)",
        run=follow_dead_letter,
        flag="dead_letter",
    ),
)
