"""A canary followed from topic to feed, and a dead letter followed back to its topic. Both publish.

The messages are canaries: stored like any record, and left out of reads. They are signed with the signature that the
service itself has, and need a reader, whose token opens the API. Of several streams, each is followed on its own way;
all canaries are published before the first is looked for, as each is readable only after the settle time.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from sluice.ops.preflight.access import token_question
from sluice.ops.preflight.canaries import Canary, canary_of, subscriptions_of
from sluice.ops.preflight.check import Act, of_all_streams, unreadable
from sluice.ops.preflight.finding import Failed, Finding, Held, NotLooked
from sluice.ops.preflight.google import Answer, Google, Question
from sluice.ops.preflight.plan import Deployment
from sluice.ops.preflight.subscription import PUBSUB

FORWARDED = "CloudPubSubDeadLetterSource"
MARK = "sluice-preflight"
VISIBLE_WITHIN_S = 60.0
"""The objective: data is readable within a minute."""
_PULL_WITHIN_S = 30.0
_PAUSE_S = 0.5
_UNROUTABLE = "unroutable"


class _StopError(Exception):
    def __init__(self, finding: Failed | NotLooked) -> None:
        super().__init__()
        self.finding = finding


class _Sent(msgspec.Struct, frozen=True):
    """A canary that is on its way to the feed of a stream, since `began_s` on the monotonic clock."""

    deployment: Deployment
    canary: Canary
    message_id: str
    began_s: float


def follow_canary(deployment: Deployment, google: Google) -> Finding:
    """Publish a canary to each stream and follow them to the feeds."""
    return _followed(deployment, google, _sent_directly, "a canary")


def follow_dead_letter(deployment: Deployment, google: Google) -> Finding:
    """Publish a dead letter, take it from its subscription, replay it as `dev redrive` does, follow it to the feed.

    Pub/Sub itself forwards a message only after a hundred refusals, which takes hours: `pubsub-account` checks the
    roles that this needs.
    """
    kept = "a dead letter was kept, and its replay"
    return _followed(deployment, google, _replayed, kept)


def _sent_directly(_: Deployment, google: Google, canary: Canary) -> str:
    """Return the id of the message."""
    return _publish(google, canary.topic, canary.message)


def _replayed(deployment: Deployment, google: Google, canary: Canary) -> str:
    """Return the id of the replay of a dead letter."""
    mark = str(uuid.uuid4())
    marks = {MARK: mark, f"{FORWARDED}Subscription": deployment.subscription.rpartition("/")[2]}
    dead = {**canary.message, "attributes": {**canary.message["attributes"], **marks}}
    _publish(google, deployment.dead_letter_topic, dead)
    ack_id = _pull(deployment, google, mark)
    message_id = _publish(google, canary.topic, canary.message)
    _ask(google, deployment.dead_letter_subscription, "acknowledge", {"ackIds": [ack_id]})
    return message_id


def _followed(
    deployment: Deployment, google: Google, publish: Callable[[Deployment, Google, Canary], str], described: str
) -> Finding:
    """Return the findings of all streams as one; `described` begins what is said of those that arrived."""
    findings, sent = dict[str, Finding](), list[_Sent]()
    try:
        token = _reader_token(deployment, google)
    except _StopError as stopped:
        return stopped.finding
    for name in deployment.streams:
        one = msgspec.structs.replace(deployment, stream=name)
        try:
            canary = _canary(one, google)
            message_id = publish(one, google, canary)
            sent.append(_Sent(one, canary, message_id, time.monotonic()))
        except _StopError as stopped:
            findings[name] = stopped.finding
    while waiting := [each for each in sent if each.deployment.stream not in findings]:
        for each in waiting:
            try:
                look = _look(each, google, token)
            except _StopError as stopped:
                findings[each.deployment.stream] = stopped.finding
                continue
            if look is not None:
                findings[each.deployment.stream] = Held(f"{described} was {look}")
        if len(findings) < len(deployment.streams):
            time.sleep(_PAUSE_S)
    return of_all_streams({name: findings[name] for name in deployment.streams})


def _reader_token(deployment: Deployment, google: Google) -> str:
    if not deployment.reader:
        raise _StopError(NotLooked("no reader was named: give --reader EMAIL, an account that you may impersonate"))
    question = token_question(deployment)
    answer = google.ask(question)
    if (trouble := unreadable(question, answer, ())) is not None:
        raise _StopError(trouble)
    return str(answer.body["token"])


def _canary(deployment: Deployment, google: Google) -> Canary:
    subscription = _subscription(deployment, google) if deployment.stream else None
    canary = canary_of(deployment, subscription)
    if not isinstance(canary, Canary):
        raise _StopError(canary)
    return canary


def _subscription(deployment: Deployment, google: Google) -> Mapping[str, Any]:
    """Return the first subscription of the stream that exists."""
    for name in subscriptions_of(deployment):
        question = Question(PUBSUB, f"v1/{name}")
        answer = google.ask(question)
        if (trouble := unreadable(question, answer, {404})) is not None:
            raise _StopError(trouble)
        if answer.is_good:
            return answer.body
    raise _StopError(Failed(f"there is no subscription {deployment.subscription}", "`terraform apply`"))


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


def _look(sent: _Sent, google: Google, token: str) -> str | None:
    """Return how long it took; None while the feed, which is asked as a consumer asks, may still come to show it."""
    answer = _feed(sent, sent.deployment.stream, google, token)
    waited_s = time.monotonic() - sent.began_s
    if answer.status in {401, 403}:
        raise _StopError(Failed(f"the API refuses the reader: {answer.message}".rstrip("."), "see the check `reader`"))
    if answer.is_good and answer.body.get("records"):
        return _times(answer.body["records"][0], waited_s)
    if waited_s >= VISIBLE_WITHIN_S:
        raise _StopError(_lost(sent, answer, google, token))
    return None


def _feed(sent: _Sent, stream: str, google: Google, token: str) -> Answer:
    path = f"streams/{stream}/records" if stream else "records"
    query = {"since": "-PT5M", "message_id": sent.message_id, "heartbeat": "include"}
    return google.ask_service(f"{sent.deployment.url}/v1/{path}", query, token)


def _lost(sent: _Sent, answer: Answer, google: Google, token: str) -> Failed:
    """Return what became of a canary that its feed does not show; `answer` is the last one of that feed."""
    deployment, message_id = sent.deployment, sent.message_id
    rejects = google.ask_service(f"{deployment.url}/v1/rejects", {"since": "-PT5M", "message_id": message_id}, token)
    if rejects.is_good and rejects.body.get("records"):
        reason = rejects.body["records"][0]
        cure = "deploy the image of this type"
        if reason.get("reason") == _UNROUTABLE:
            cure = f"let its subscription push to {deployment.push_path}: see `subscription-push`"
        return Failed(f"it was rejected: {reason.get('reason')}, {reason.get('detail')}", cure)
    for other in deployment.streams:
        elsewhere = None if other == deployment.stream else _feed(sent, other, google, token)
        if elsewhere is not None and elsewhere.is_good and elsewhere.body.get("records"):
            return Failed(
                f"it came to the stream {other}",
                f"let the subscription push to {deployment.push_path}, and its filter pass the stream's own messages",
            )
    detail = f": {answer.message}" if not answer.is_good else ""
    passes = f", whose filter is {sent.canary.filter}" if sent.canary.filter else ""
    return Failed(
        f"it was published and is not readable after {VISIBLE_WITHIN_S:g} s{detail}",
        f"see the checks of the subscription{passes}, and /health/ready?strict=1 of the service",
    )


def _times(row: Mapping[str, Any], visible_s: float) -> str:
    published, stored = (datetime.fromisoformat(str(row[name])) for name in ("publish_time", "ingest_time"))
    stored_s = (stored - published).total_seconds()
    return f"stored {stored_s:.1f} s after its publication, and readable after {visible_s:.1f} s"


CHECKS = (
    Act(
        name="canary",
        needs="streams",
        about="a canary is stored and readable within a minute (publishes one to each stream: --canary)",
        run=follow_canary,
        flag="canary",
    ),
    Act(
        name="dead-letter",
        needs="streams",
        about="a dead letter is kept and can be replayed (publishes one, which raises its alert: --dead-letter)",
        run=follow_dead_letter,
        flag="dead_letter",
    ),
)
