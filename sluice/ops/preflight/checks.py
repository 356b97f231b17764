"""The checks, which only read: what neither a failed apply nor a log line nor `/health/ready` shows.

Each takes the deployment and returns its finding. A subscription is
https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#Subscription.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, assert_never

import msgspec

from sluice.ops.preflight.deployment import Deployment
from sluice.ops.preflight.google import Google, UnreadableError

PUBSUB = "pubsub.googleapis.com"
_DELETED = "_deleted-topic_"
_APPLY = "`terraform apply`"
_SAMPLES = ("us-docker.pkg.dev/cloudrun/", "gcr.io/cloudrun/")
_AGENT = "@gcp-sa-pubsub.iam.gserviceaccount.com"
"""How the name of the account ends by which Pub/Sub itself acts."""


class Held(msgspec.Struct, frozen=True):
    """What the check found in order."""

    said: str


class Failed(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it."""

    said: str
    cure: str


class NotChecked(msgspec.Struct, frozen=True):
    """Why the check could not tell."""

    why: str


Finding = Held | Failed | NotChecked


def line(name: str, finding: Finding) -> str:
    """Return a check's line of the report."""
    match finding:
        case Held():
            return f"held         {name}: {finding.said}"
        case Failed():
            return f"failed       {name}: {finding.said}. Cure: {finding.cure}"
        case NotChecked():
            return f"not checked  {name}: {finding.why}"
        case _:
            assert_never(finding)


Check = Callable[[Deployment, Google], Finding]


def run_checks(deployment: Deployment, google: Google, checks: Mapping[str, Check]) -> Iterator[tuple[str, Finding]]:
    """Yield the name and the finding of each check, in order."""
    for name, check in checks.items():
        try:
            finding = check(deployment, google)
        except UnreadableError as error:
            finding = NotChecked(str(error))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            finding = NotChecked(f"an answer was not as documented: {type(error).__name__}: {error}")
        yield name, finding


def check_revision(deployment: Deployment, _: Google) -> Finding:
    """Check that the newest revision, whose settings Terraform wrote, has the traffic, and is not Google's sample."""
    for service in (deployment.ingest, deployment.service):
        if service["template"]["containers"][0]["image"].startswith(_SAMPLES):
            return Failed(
                "the service still runs Google's sample, which acknowledges every message and stores none",
                "deploy (docs/deploy.md), and set `pushes` only afterwards",
            )
        newest = str(service.get("latestReadyRevision", "")).rpartition("/")[2]
        percent = sum(
            each.get("percent", 0)
            for each in service.get("trafficStatuses", ())
            if each.get("type") == "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST" or each.get("revision") == newest
        )
        if percent != 100:
            return Failed(
                f"the newest revision, {newest}, has {percent} % of the traffic, and older ones have older settings",
                "let the deployment end, or run it again: `gh workflow run deploy.yml`",
            )
    return Held(f"{newest} has all the traffic")


def check_gate(deployment: Deployment, _: Google) -> Finding:
    """Check that either Cloud Run or the service checks callers, and not both."""
    is_open = [bool(each.get("invokerIamDisabled")) for each in (deployment.service, deployment.ingest)]
    gate = deployment.settings.auth.platform_iam
    if gate == "off" and not all(is_open):
        return Failed(
            "Cloud Run checks the callers, and so does the service: it will refuse every token, whose signature "
            "Cloud Run replaces",
            f"{_APPLY} (keep_invoker_check is for the way from trust to off only)",
        )
    if gate == "trust" and any(is_open):
        return Failed(
            "callers are not checked: the service trusts Cloud Run to do it, and Cloud Run's check is off",
            f'{_APPLY} at once with platform_iam = "trust"; until then a caller can claim any identity',
        )
    return Held(f"{'the service' if gate == 'off' else 'Cloud Run'} alone checks callers")


def check_push(deployment: Deployment, google: Google) -> Finding:
    """Check that messages are pushed to the path of the stream, with a token that the service accepts."""
    subscription, auth = read_subscription(deployment, google), deployment.settings.auth
    if subscription is None:
        return Failed(f"there is no {deployment.names.subscription}", _APPLY)
    if subscription["topic"] == _DELETED or subscription.get("state", "ACTIVE") != "ACTIVE":
        return Failed(f"the subscription of {subscription['topic']} is {subscription.get('state', 'ACTIVE')}", _APPLY)
    push = subscription.get("pushConfig") or {}
    endpoint, token = push.get("pushEndpoint", ""), push.get("oidcToken") or {}
    if not endpoint:
        return Failed(
            "Pub/Sub does not push: messages wait in the subscription",
            "set `pushes = true` once the first deployment has all the traffic, and apply",
        )
    expected = f"{deployment.ingest['uri']}{deployment.names.push_path}"
    if endpoint != expected:
        return Failed(f"Pub/Sub pushes to {endpoint}, and the service expects {expected}", _APPLY)
    audience, account = token.get("audience", "nobody"), token.get("serviceAccountEmail", "nobody")
    if audience != auth.push_audience or account not in auth.push_principals:
        return Failed(
            f"tokens are of {account} for {audience}, and the service expects {', '.join(auth.push_principals)} for "
            f"{auth.push_audience}",
            _APPLY,
        )
    return Held(f"to {endpoint}, as {account}")


def check_clocks(deployment: Deployment, google: Google) -> Finding:
    """Compare the ack deadline and the retry back-off with what the service relies on to detect copies."""
    subscription, ingest = read_subscription(deployment, google) or {}, deployment.settings.ingest
    deadline_s = subscription.get("ackDeadlineSeconds", 10)
    backoff_s = float((subscription.get("retryPolicy") or {}).get("maximumBackoff", "0s").removesuffix("s"))
    said = f"the ack deadline is {deadline_s} s and retries back off for up to {backoff_s:g} s"
    if deadline_s != ingest.ack_deadline_s or not 0 < backoff_s <= ingest.retry_backoff_max_s:
        return Failed(
            f"{said}, and the service relies on {ingest.ack_deadline_s:g} s and {ingest.retry_backoff_max_s:g} s: a "
            "copy may come after the look-back",
            _APPLY,
        )
    return Held(said)


def check_dead_letters(deployment: Deployment, google: Google) -> Finding:
    """Check that what an outage outlasts goes to the topic of dead letters, and that this one keeps it."""
    names = deployment.names
    policy = (read_subscription(deployment, google) or {}).get("deadLetterPolicy") or {}
    if policy.get("deadLetterTopic") != names.dead_letter_topic:
        return Failed(f"dead letters do not go to {names.dead_letter_topic}", _APPLY)
    kept = google.ask(PUBSUB, f"v1/{names.dead_letter_subscription}") or {}
    if kept.get("topic") != names.dead_letter_topic:
        return Failed(f"dead letters are lost: {names.dead_letter_subscription} does not keep them", _APPLY)
    return Held(f"{names.dead_letter_subscription} keeps them")


def check_pubsub_account(deployment: Deployment, google: Google) -> Finding:
    """Check the three roles of Pub/Sub's own account; without them dead letters stay, and pushes carry no token.

    https://cloud.google.com/pubsub/docs/dead-letter-topics#granting_forwarding_permissions,
    https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
    """
    names, accounts = deployment.names, deployment.settings.auth.push_principals
    iam = [
        google.ask("iam.googleapis.com", f"v1/projects/-/serviceAccounts/{each}:getIamPolicy", {}) for each in accounts
    ]
    needs = (
        (google.ask(PUBSUB, f"v1/{names.dead_letter_topic}:getIamPolicy"), "pubsub.publisher", "the dead-letter topic"),
        (google.ask(PUBSUB, f"v1/{names.subscription}:getIamPolicy"), "pubsub.subscriber", "the subscription"),
        *((each, "iam.serviceAccountTokenCreator", "the push identity") for each in iam),
    )
    lacking = [
        f"roles/{role} on {where}" for policy, role, where in needs if not _agent_has(policy or {}, f"roles/{role}")
    ]
    if lacking:
        return Failed(f"Pub/Sub's own account lacks {' and '.join(lacking)}", _APPLY)
    return Held("it may forward dead letters and sign pushes")


def read_subscription(deployment: Deployment, google: Google) -> Mapping[str, Any] | None:
    """Return the push subscription; None if it does not exist."""
    return google.ask(PUBSUB, f"v1/{deployment.names.subscription}")


def _agent_has(policy: Mapping[str, Any], role: str) -> bool:
    members = [member for each in policy.get("bindings", ()) if each["role"] == role for member in each["members"]]
    return any(member.endswith(_AGENT) for member in members)


CHECKS: Mapping[str, Check] = {
    "revision": check_revision,
    "gate": check_gate,
    "push": check_push,
    "clocks": check_clocks,
    "dead-letters": check_dead_letters,
    "pubsub-account": check_pubsub_account,
}
"""The checks that only read, in order."""
