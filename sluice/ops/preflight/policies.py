"""Before: the organisation's policies that would refuse what Terraform makes. Pure.

The effective policy is https://cloud.google.com/resource-manager/docs/reference/orgpolicy/rest/v2/Policy: `spec.rules`,
each with `enforce`, or with `allowAll`, `denyAll` or `values`. A constraint that is not set has no rules.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.ops.preflight.check import Ask
from sluice.ops.preflight.finding import Failed, Finding, Held, NotLooked
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment

HOST = "orgpolicy.googleapis.com"
INVOKER, MEMBERS, LOCATIONS = "run.managed.requireInvokerIam", "iam.allowedPolicyMemberDomains", "gcp.resourceLocations"
# Europe's locations outside of the European Union
# (https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations#value_groups).
_NOT_EU = {"europe-west2", "europe-west6"}


def _asks_for(constraint: str) -> Callable[[Deployment], Sequence[Question]]:
    def questions(deployment: Deployment) -> Sequence[Question]:
        return [Question(HOST, f"v2/projects/{deployment.project}/policies/{constraint}:getEffectivePolicy")]

    return questions


def _rules(answer: Answer) -> Sequence[Mapping[str, Any]]:
    return (answer.body.get("spec") or {}).get("rules") or ()


def judge_invoker(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that Cloud Run's own check of callers may be turned off, if this deployment does so."""
    enforced = any(rule.get("enforce") is True for rule in _rules(answers[0]))
    if not enforced:
        return Held(f"{INVOKER} is not enforced")
    if deployment.platform_iam == "trust":
        return Held(f'{INVOKER} is enforced, and platform_iam = "trust" leaves the check on')
    return Failed(
        f"{INVOKER} is enforced: Cloud Run refuses a service without its own check of callers",
        'write platform_iam = "trust" (and invokers, for callers besides Pub/Sub), or have the project exempted',
    )


def judge_members(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that members outside of the project may be granted roles. Accounts of the project always may."""
    rules = _rules(answers[0])
    allowed = [value for rule in rules for value in (rule.get("values") or {}).get("allowedValues") or ()]
    foreign = [
        each for each in deployment.members if not each.endswith(f"@{deployment.project}.iam.gserviceaccount.com")
    ]
    if not foreign:
        return Held("the variables name no member from outside of the project")
    if any(rule.get("denyAll") for rule in rules):
        return Failed(
            f"{MEMBERS} allows no member from outside, and the variables name {', '.join(foreign)}",
            "remove them from publishers, dataset_readers and invokers, or have the project exempted",
        )
    if not allowed:
        return Held(f"{MEMBERS} allows every member")
    return NotLooked(
        f"{MEMBERS} allows only {', '.join(allowed)}; whether {', '.join(foreign)} belong there, only the "
        "organisation's directory knows"
    )


def judge_locations(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that resources may be made in the region and in the location of the dataset."""
    rules = _rules(answers[0])
    places = [deployment.region, deployment.location]
    if any(rule.get("denyAll") for rule in rules):
        return Failed(f"{LOCATIONS} allows no location", "have the project exempted")
    values = [rule["values"] for rule in rules if rule.get("values")]
    denied = [value for each in values for value in each.get("deniedValues") or ()]
    allowed = [value for each in values for value in each.get("allowedValues") or ()]
    unknown = [value for value in (*denied, *allowed) if not _is_known(value)]
    refused = [place for place in places if any(_covers(value, place) for value in denied)]
    missing = [place for place in places if allowed and not any(_covers(value, place) for value in allowed)]
    if refused or (missing and not unknown):
        return Failed(
            f"{LOCATIONS} does not allow {' and '.join(dict.fromkeys([*refused, *missing]))}",
            f"choose a region and a location that it allows ({', '.join(allowed) or 'all but ' + ', '.join(denied)})",
        )
    if unknown:
        return NotLooked(f"{LOCATIONS} names {', '.join(unknown)}, whose members are not known here")
    return Held(f"{LOCATIONS} allows {' and '.join(dict.fromkeys(places))}")


def _is_known(value: str) -> bool:
    group = value.partition(":")[2] if value.startswith("in:") else ""
    return not group or group in {"eu-locations", "us-locations"} or group.count("-") >= 2


def _covers(value: str, place: str) -> bool:
    """Return whether a value of the constraint, a location or a known group of them, includes `place`."""
    kind, _, name = value.rpartition(":")
    place = place.lower()
    if kind != "in":
        return name.lower() == place
    group = name.removesuffix("-locations")
    if group == "eu":
        return place == "eu" or (place.startswith("europe-") and place not in _NOT_EU)
    if group == "us":
        return place == "us" or place.startswith("us-")
    return group.lower() == place


CHECKS = tuple(
    Ask(
        name=name,
        phase="before",
        needs="nothing",
        about=f"{constraint} allows {what}",
        questions=_asks_for(constraint),
        verdict=verdict,
    )
    for name, constraint, what, verdict in (
        ("policy-invoker", INVOKER, "the service to check its callers itself", judge_invoker),
        ("policy-members", MEMBERS, "the members that the variables name", judge_members),
        ("policy-locations", LOCATIONS, "the region and the location of the dataset", judge_locations),
    )
)
