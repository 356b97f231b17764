"""The push subscription against the service's clocks, its identity and its table of answers. Pure.

The resource is https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#Subscription.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.ops.preflight.check import Ask, first_failure
from sluice.ops.preflight.finding import Failed, Finding, Held
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment

PUBSUB = "pubsub.googleapis.com"
_APPLY = "`terraform apply`, which sets both sides"
DELETED = "_deleted-topic_"
_MIN_ATTEMPTS = 20
"""Fewer would dead-letter good messages in an outage of half an hour."""
Judge = Callable[[Deployment, Mapping[str, Any]], Finding]


def _questions(deployment: Deployment) -> Sequence[Question]:
    return [Question(PUBSUB, f"v1/{deployment.subscription}")]


def _verdict(judge: Judge) -> Callable[[Deployment, Sequence[Answer]], Finding]:
    def verdict(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
        return judge(deployment, answers[0].body)

    return verdict


def judge_exists(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that the subscription exists, is active, never expires, and drops no message."""
    if answers[0].status == 404:
        return Failed(f"there is no subscription {deployment.subscription}", "`terraform apply`")
    subscription = answers[0].body
    failures = []
    if subscription.get("state", "ACTIVE") != "ACTIVE":
        failures.append(
            Failed(f"the subscription is {subscription['state']}", "read its error in the console, and apply")
        )
    # A stream may share the topic of another, or have one that exists elsewhere.
    if subscription.get("topic") == DELETED or (
        not deployment.stream and subscription.get("topic") != deployment.topic
    ):
        failures.append(Failed(f"the subscription is of {subscription.get('topic')}", "`terraform apply`"))
    if (subscription.get("expirationPolicy") or {}).get("ttl"):
        failures.append(Failed("the subscription expires when it is idle, with its messages", "`terraform apply`"))
    if "expirationPolicy" not in subscription:
        failures.append(Failed("the subscription expires after 31 idle days, with its messages", "`terraform apply`"))
    return first_failure(failures, f"{deployment.subscription.rpartition('/')[2]} is active and never expires")


def judge_clocks(deployment: Deployment, subscription: Mapping[str, Any]) -> Finding:
    """Compare the ack deadline and the retry back-off with what the service counts on."""
    ingest = deployment.settings.ingest
    retry = subscription.get("retryPolicy") or {}
    live_deadline, live_backoff = (
        subscription.get("ackDeadlineSeconds", 10),
        _seconds(retry.get("maximumBackoff", "0s")),
    )
    failures = []
    if live_deadline != ingest.ack_deadline_s:
        failures.append(
            Failed(
                f"the ack deadline is {live_deadline} s, and SLUICE_ACK_DEADLINE_S is {ingest.ack_deadline_s:g}", _APPLY
            )
        )
    if not retry:
        failures.append(Failed("there is no retry policy, so refused messages come back at once", _APPLY))
    elif live_backoff > ingest.retry_backoff_max_s:
        failures.append(
            Failed(
                f"retries back off for up to {live_backoff:g} s, and SLUICE_RETRY_BACKOFF_MAX_S is "
                f"{ingest.retry_backoff_max_s:g}: a copy may come after the look-back",
                _APPLY,
            )
        )
    return first_failure(failures, f"ack deadline {live_deadline} s and back-off up to {live_backoff:g} s, as agreed")


def judge_dead_letters(deployment: Deployment, subscription: Mapping[str, Any]) -> Finding:
    """Check the dead-letter policy."""
    policy = subscription.get("deadLetterPolicy") or {}
    if policy.get("deadLetterTopic") != deployment.dead_letter_topic:
        target = policy.get("deadLetterTopic") or "no topic"
        return Failed(f"what an outage outlasts goes to {target}, not to {deployment.dead_letter_topic}", _APPLY)
    attempts = policy.get("maxDeliveryAttempts", 5)
    if attempts < _MIN_ATTEMPTS:
        return Failed(f"messages are dead-lettered after {attempts} attempts, which an outage soon uses up", _APPLY)
    return Held(f"after {attempts} attempts messages go to {deployment.dead_letter_topic.rpartition('/')[2]}")


def judge_push(deployment: Deployment, subscription: Mapping[str, Any]) -> Finding:
    """Check the endpoint, the wrapping, the filter and the modes that push does not know."""
    push = subscription.get("pushConfig") or {}
    endpoint = push.get("pushEndpoint", "")
    if not endpoint:
        return Failed(
            "Pub/Sub does not push: messages wait in the subscription",
            "set `pushes = true` once the first deployment has all the traffic, and apply",
        )
    failures = []
    expected = f"{deployment.ingest_url}{deployment.push_path}"
    if endpoint != expected if deployment.stream else not endpoint.startswith(expected):
        failures.append(Failed(f"Pub/Sub pushes to {endpoint}, and the service expects {expected}", _APPLY))
    if "noWrapper" in push and not (push["noWrapper"] or {}).get("writeMetadata"):
        failures.append(
            Failed("pushes are unwrapped without metadata: every message would be a 400", "set write_metadata, or wrap")
        )
    if subscription.get("filter") and not deployment.stream:
        failures.append(
            Failed(f"the filter {subscription['filter']!r} drops messages unstored", "make a subscription without")
        )
    if subscription.get("enableExactlyOnceDelivery"):
        failures.append(Failed("exactly-once delivery is for pull only", "turn it off: `terraform apply`"))
    return first_failure(failures, f"Pub/Sub pushes {'un' if 'noWrapper' in push else ''}wrapped to {endpoint}")


def judge_token(deployment: Deployment, subscription: Mapping[str, Any]) -> Finding:
    """Compare the token's audience and principal with what the service accepts."""
    auth, push = deployment.settings.auth, subscription.get("pushConfig") or {}
    token = push.get("oidcToken") or {}
    if not push.get("pushEndpoint"):
        return Held("no push, no token")
    if not token:
        return Failed("pushes carry no token, and the service refuses each of them (401)", _APPLY)
    audience, principal = token.get("audience") or push["pushEndpoint"], token.get("serviceAccountEmail", "")
    failures = []
    if audience != auth.push_audience:
        failures.append(Failed(f"tokens are for {audience}, and SLUICE_PUSH_AUDIENCE is {auth.push_audience}", _APPLY))
    if principal not in auth.push_principals:
        failures.append(
            Failed(
                f"tokens are of {principal}, and SLUICE_PUSH_PRINCIPALS names {', '.join(auth.push_principals)}", _APPLY
            )
        )
    return first_failure(failures, f"tokens of {principal} for {audience}, which the service accepts")


def _seconds(duration: str) -> float:
    """Read Google's text of a Duration, such as `600s`."""
    return float(duration.removesuffix("s") or 0)


def _ask(name: str, about: str, judge: Judge) -> Ask:
    return Ask(name=name, needs="streams", about=about, questions=_questions, verdict=_verdict(judge))


CHECKS = (
    Ask(
        name="subscription",
        needs="streams",
        about="the push subscription is active and never expires",
        questions=_questions,
        verdict=judge_exists,
        judges={404},
    ),
    _ask("subscription-clocks", "ack deadline and retry back-off are those that the service counts on", judge_clocks),
    _ask("subscription-dead-letters", "what an outage outlasts is kept", judge_dead_letters),
    _ask("subscription-push", "pushes reach the service, wrapped as it reads them, all of them", judge_push),
    _ask("subscription-token", "pushes carry the token that the service accepts", judge_token),
)
