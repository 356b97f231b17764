"""Each thing that a check looks at, broken alone: exactly that check fails, and its cure says what to do."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from app.preflight.__main__ import BAD, GOOD
from app.preflight.catalogue import CHECKS
from testing.google_cloud import project as google
from testing.google_cloud.project import Project
from tests.preflight.asking import OFFLINE, ask, new_project

Break = Callable[[Project], Any]
ONLINE = [check.name for check in CHECKS if check.name not in OFFLINE]
_RECORDS = f"{google.DATASET}/tables/records"
_REJECTS = f"{google.DATASET}/tables/records_rejected"
_QUOTAS = f"{google.USAGE}/v1beta1/projects/{google.PROJECT}/services/%s/consumerQuotaMetrics"
_ALERTS = f"{google.MONITORING}/v3/projects/{google.PROJECT}/alertPolicies"
_CHANNELS = f"{google.MONITORING}/v3/projects/{google.PROJECT}/notificationChannels"
_BOARDS = f"{google.MONITORING}/v1/projects/{google.PROJECT}/dashboards"


def change(path: str, **members: Any) -> Break:
    """Replace members of a resource."""
    return lambda project: project.resources[path].update(members)


def lose(path: str, *members: str) -> Break:
    """Remove members of a resource."""
    return lambda project: [project.resources[path].pop(member) for member in members]


def missing(path: str) -> Break:
    """Remove a resource."""
    return lambda project: project.resources.pop(path)


def inside(path: str, *keys: str | int, **members: Any) -> Break:
    """Replace members below a resource; None removes one."""

    def run(project: Project) -> None:
        node: Any = project.resources[path]
        for key in keys:
            node = node[key]
        for name, value in members.items():
            if value is None:
                node.pop(name)
            else:
                node[name] = value

    return run


def variables(**values: str) -> Break:
    """Change settings of the running service."""
    return lambda project: project.environ.update(values)


def policy(constraint: str, *rules: dict[str, Any]) -> Break:
    """Set an organisation policy."""
    return change(f"{google.POLICIES}/{constraint}:getEffectivePolicy", spec={"rules": list(rules)})


def quota(service: str, limit: str) -> Break:
    """Lower the last bucket of a service's quota."""
    metric = ("metrics", 0, "consumerQuotaLimits", 0, "quotaBuckets", -1)
    return inside(_QUOTAS % service, *metric, effectiveLimit=limit)


def column(path: str, at: int, **members: Any) -> Break:
    """Change a column of a table."""
    return inside(path, "schema", "fields", at, **members)


BROKEN: list[tuple[str, str, Break, str]] = [
    ("the project is another's", "project", missing(google.RESOURCES), "correct project_id"),
    ("the project is being deleted", "project", change(google.RESOURCES, state="DELETE_REQUESTED"), "restore it"),
    ("nobody pays", "billing", change(google.BILLING, billingEnabled=False), "billing projects link"),
    (
        "no right to create datasets",
        "permissions",
        lambda p: p.permissions.remove("bigquery.datasets.create"),
        "grant roles/bigquery.admin",
    ),
    (
        "Cloud Run must check callers",
        "policy-invoker",
        policy("run.managed.requireInvokerIam", {"enforce": True}),
        'platform_iam = "trust"',
    ),
    (
        "resources only in the US",
        "policy-locations",
        policy("gcp.resourceLocations", {"values": {"allowedValues": ["in:us-locations"]}}),
        "choose a region and a location that it allows (in:us-locations)",
    ),
    (
        "no resources in the EU's multi-region",
        "policy-locations",
        policy("gcp.resourceLocations", {"values": {"deniedValues": ["is:EU"]}}),
        "choose a region",
    ),
    (
        "no resource anywhere",
        "policy-locations",
        policy("gcp.resourceLocations", {"denyAll": True}),
        "have the project exempted",
    ),
    (
        "no such region",
        "locations",
        change(f"run.googleapis.com/v1/projects/{google.PROJECT}/locations", locations=[{"locationId": "us-east1"}]),
        "gcloud run regions list",
    ),
    ("the dataset is elsewhere", "locations", change(google.DATASET, location="US"), 'write location = "US"'),
    ("too few appends", "quota-appends", quota("bigquerystorage.googleapis.com", "60000000"), "request more"),
    ("too few pushes", "quota-pushes", quota("pubsub.googleapis.com", "60000"), "request more"),
    ("too few processors", "quota-instances", quota("run.googleapis.com", "9000"), "request more"),
    ("an API of the beginning is off", "first-apis", lambda p: _disable(p, "iam.googleapis.com"), "gcloud services"),
    ("another API is off", "apis", lambda p: _disable(p, "secretmanager.googleapis.com"), "terraform apply"),
    ("no service", "service", missing(google.RUN), "terraform apply"),
    (
        "the revision is not ready",
        "service",
        inside(google.RUN, "terminalCondition", state="CONDITION_FAILED", message="the container did not start"),
        "read the log",
    ),
    (
        "the sample still runs",
        "service",
        inside(google.RUN, "template", "containers", 0, image="us-docker.pkg.dev/cloudrun/container/hello"),
        "deploy (docs/deploy.md)",
    ),
    (
        "the rollout stopped half-way",
        "service",
        inside(google.RUN, "trafficStatuses", 0, percent=50),
        "let the deployment end",
    ),
    ("both gates are closed", "settings", change(google.RUN, invokerIamDisabled=False), "keep_invoker_check"),
    (
        "both gates are open",
        "settings",
        variables(SLUICE_PLATFORM_IAM="trust", SLUICE_HEARTBEAT_SIGNATURE=""),
        "terraform apply` at once",
    ),
    ("clocks disagree", "settings", variables(SLUICE_REQUEST_BUDGET_S="90"), "correct `settings`"),
    ("an unknown setting", "settings", variables(SLUICE_SETTEL_S="90"), "correct `settings`"),
    ("no table of records", "table-records", missing(_RECORDS), "terraform apply"),
    ("no table of rejects", "table-rejects", missing(_REJECTS), "terraform apply"),
    ("a column of another type", "table-records", column(_RECORDS, 0, type="INTEGER"), "app.schema bigquery"),
    ("a required column", "table-records", column(_RECORDS, 2, mode="REQUIRED"), "app.schema bigquery"),
    ("no partitions", "table-rejects", lose(_REJECTS, "timePartitioning"), "app.schema bigquery"),
    (
        "kept too short",
        "table-records",
        inside(_RECORDS, "timePartitioning", expirationMs="86400000"),
        "retention_days",
    ),
    ("kept for ever", "table-rejects", inside(_REJECTS, "timePartitioning", expirationMs=None), "retention_days"),
    (
        "a deletion is refused",
        "statements",
        lambda p: p.refused_statements.append("DELETE FROM"),
        "mend the tables first",
    ),
    ("the subscription is detached", "subscription", change(google.SUBSCRIPTION, topic="_deleted-topic_"), "apply"),
    ("the subscription is in error", "subscription", change(google.SUBSCRIPTION, state="RESOURCE_ERROR"), "console"),
    (
        "the subscription expires",
        "subscription",
        change(google.SUBSCRIPTION, expirationPolicy={"ttl": "2678400s"}),
        "terraform apply",
    ),
    (
        "the subscription expires by default",
        "subscription",
        lose(google.SUBSCRIPTION, "expirationPolicy"),
        "terraform apply",
    ),
    ("a short ack deadline", "subscription-clocks", change(google.SUBSCRIPTION, ackDeadlineSeconds=10), "both sides"),
    ("no retry policy", "subscription-clocks", lose(google.SUBSCRIPTION, "retryPolicy"), "both sides"),
    ("a look-back that is too short", "subscription-clocks", variables(SLUICE_RETRY_BACKOFF_MAX_S="300"), "both sides"),
    ("no dead letters", "subscription-dead-letters", lose(google.SUBSCRIPTION, "deadLetterPolicy"), "both sides"),
    (
        "dead letters too early",
        "subscription-dead-letters",
        inside(google.SUBSCRIPTION, "deadLetterPolicy", maxDeliveryAttempts=5),
        "both sides",
    ),
    ("no pushes", "subscription-push", change(google.SUBSCRIPTION, pushConfig={}), "pushes = true"),
    (
        "pushes go elsewhere",
        "subscription-push",
        inside(google.SUBSCRIPTION, "pushConfig", pushEndpoint="https://old.run.app/pubsub/push"),
        "both sides",
    ),
    (
        "unwrapped without metadata",
        "subscription-push",
        inside(google.SUBSCRIPTION, "pushConfig", noWrapper={}),
        "write_metadata",
    ),
    (
        "a filter",
        "subscription-push",
        change(google.SUBSCRIPTION, filter='attributes.kind = "order"'),
        "make a subscription without",
    ),
    (
        "exactly-once delivery",
        "subscription-push",
        change(google.SUBSCRIPTION, enableExactlyOnceDelivery=True),
        "turn it off",
    ),
    ("no token", "subscription-token", inside(google.SUBSCRIPTION, "pushConfig", oidcToken=None), "both sides"),
    (
        "another audience",
        "subscription-token",
        inside(google.SUBSCRIPTION, "pushConfig", "oidcToken", audience="other"),
        "both sides",
    ),
    (
        "another principal",
        "subscription-token",
        inside(google.SUBSCRIPTION, "pushConfig", "oidcToken", serviceAccountEmail="other@example.com"),
        "both sides",
    ),
    (
        "dead letters cannot be published",
        "pubsub-account",
        change(f"{google.DEAD_TOPIC}:getIamPolicy", bindings=[]),
        "terraform apply",
    ),
    (
        "dead letters cannot be acknowledged",
        "pubsub-account",
        change(f"{google.SUBSCRIPTION}:getIamPolicy", bindings=[]),
        "terraform apply",
    ),
    (
        "no token can be made",
        "pubsub-account",
        change(f"{google.ACCOUNT}:getIamPolicy", bindings=[]),
        "terraform apply",
    ),
    ("the reader is not yours", "reader", lambda p: setattr(p, "may_impersonate", False), "add-iam-policy-binding"),
    ("the reader is not known", "reader", variables(SLUICE_API_PRINCIPALS="other@example.com"), "api_principals"),
    (
        "the token has no e-mail",
        "reader",
        lambda p: p.token_claims.pop("email"),
        "api_principals",
    ),
    ("an alert is off", "alerts", inside(_ALERTS, "alertPolicies", 0, enabled=False), "switch them on"),
    ("an alert tells nobody", "alerts", inside(_ALERTS, "alertPolicies", 1, notificationChannels=[]), "on_call"),
    (
        "a channel is off",
        "channels",
        inside(_CHANNELS, "notificationChannels", 0, enabled=False),
        "switch it on",
    ),
    (
        "a channel is not verified",
        "channels",
        inside(_CHANNELS, "notificationChannels", 0, verificationStatus="UNVERIFIED"),
        "confirms it",
    ),
    ("an alert would never fire", "alert-queries", lambda p: p.refused_queries.append("backlog"), "never fire"),
    ("no dashboard", "dashboard", change(_BOARDS, dashboards=[]), "terraform apply"),
    ("a tile shows an error", "dashboard", lambda p: p.refused_queries.append("stored"), "terraform apply"),
]
ALSO = {"an API of the beginning is off": {"apis"}, "no alerts": {"alert-queries"}}
"""Checks that look at the same thing, and fail with it."""


def _disable(project: Project, api: str) -> None:
    project.services[api] = "DISABLED"


def test_everything_holds_in_a_healthy_project(capsys: pytest.CaptureFixture[str]) -> None:
    """No check fails, none is left out, and the status says so."""
    status, found = ask(new_project(), capsys, "--strict", "--only", *ONLINE)
    assert status == GOOD
    assert {name: kind for name, (kind, _) in found.items()} == dict.fromkeys(ONLINE, "held")


@pytest.mark.parametrize(("name", "broken", "cure"), [pytest.param(n, b, c, id=i) for i, n, b, c in BROKEN])
def test_what_is_broken_fails_its_check(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], name: str, broken: Break, cure: str
) -> None:
    """Exactly the check that looks at it fails, and its line names the cure."""
    project = new_project()
    broken(project)
    status, found = ask(project, capsys, "--only", *ONLINE)
    failed = {each for each, (kind, _) in found.items() if kind == "failed"}
    assert failed == {name} | ALSO.get(request.node.callspec.id, set())
    assert cure in found[name][1].partition("Cure: ")[2]
    assert status == BAD


def test_every_check_is_broken_by_something() -> None:
    """A check that nothing can break would prove nothing."""
    assert set(ONLINE) - {name for _, name, _, _ in BROKEN} == {"policy-members"}


@pytest.mark.parametrize(
    ("off", "unread"),
    [
        ("orgpolicy.googleapis.com", {"policy-invoker", "policy-members", "policy-locations"}),
        ("cloudbilling.googleapis.com", {"billing"}),
        ("monitoring.googleapis.com", {"alerts", "channels", "alert-queries", "dashboard"}),
        ("bigquery.googleapis.com", {"table-records", "table-rejects", "statements"}),
    ],
)
def test_an_api_that_is_off_is_not_a_failure_of_what_it_would_tell(
    capsys: pytest.CaptureFixture[str], off: str, unread: set[str]
) -> None:
    """Its checks are not looked at, with the command that enables it; with --strict that is a failure."""
    project = new_project()
    project.off.add(off)
    status, found = ask(project, capsys, "--only", *ONLINE)
    assert status == GOOD
    assert {name for name, (kind, _) in found.items() if kind == "not looked at"} == unread
    assert all(f"gcloud services enable {off}" in found[name][1] for name in unread)
    assert ask(project, capsys, "--strict", "--only", *ONLINE)[0] == BAD


def test_a_missing_right_to_look_is_not_a_failure_of_the_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    """What the caller may not read is not looked at, in Google's own words."""
    project = new_project()
    project.forbidden.add("/alertPolicies")
    _, found = ask(project, capsys, "--only", "alerts")
    assert found["alerts"][0] == "not looked at"
    assert "Permission denied" in found["alerts"][1]


def test_before_the_first_apply_there_is_nothing_after_it_to_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Only `service` fails; what depends on it says so, and the phase `before` does not mention any of it."""
    project = new_project()
    del project.resources[google.RUN]
    _, found = ask(project, capsys, "after")
    assert found["service"][0] == "failed"
    assert found["settings"][0] == found["subscription-token"][0] == found["append"][0] == "not looked at"
    _, before = ask(project, capsys, "before")
    assert "service" not in before
    assert {kind for kind, _ in before.values()} == {"held"}


def test_two_services_are_looked_at_together(capsys: pytest.CaptureFixture[str]) -> None:
    """The one that ingests gets the pushes and has their settings; it, too, must be ready."""
    project = new_project()
    push = {name: project.environ.pop(name) for name in list(project.environ) if name.startswith("SLUICE_PUSH_")}
    ingest = msgspec.json.decode(msgspec.json.encode(project.resources[google.RUN]))
    url = "https://sluice-ingest-100000000001.europe-west1.run.app"
    env = [{"name": name, "value": value} for name, value in {**push, "SLUICE_ROLES": "ingest"}.items()]
    ingest["uri"], ingest["template"]["containers"][0]["env"] = url, env
    project.environ["SLUICE_ROLES"] = "query"
    project.resources[f"{google.RUN}-ingest"] = ingest
    _, found = ask(project, capsys, "after", "--only", *ONLINE)
    assert {name for name, (kind, _) in found.items() if kind != "held"} == {"subscription-push"}
    project.resources[google.SUBSCRIPTION]["pushConfig"]["pushEndpoint"] = f"{url}/pubsub/push"
    _, found = ask(project, capsys, "after", "--only", *ONLINE)
    assert {kind for kind, _ in found.values()} == {"held"}
    ingest["terminalCondition"]["state"] = "CONDITION_FAILED"
    assert ask(project, capsys, "--only", "service")[1]["service"][0] == "failed"


def test_without_flags_nothing_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    """The two checks that write name their flags."""
    _, found = ask(new_project(), capsys, "--only", "canary", "dead-letter")
    assert found["canary"] == ("not looked at", "it writes: give --canary")
    assert found["dead-letter"] == ("not looked at", "it writes: give --dead-letter")
