"""What can be broken in a project, each alone: the check that looks at it, and a part of its cure."""

from collections.abc import Callable
from typing import Any

from testing.google_cloud import project as google
from testing.google_cloud.project import Project

Break = Callable[[Project], Any]
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


def without(role: str) -> Break:
    """Take a role on the project back from everyone."""

    def run(project: Project) -> None:
        policy = project.resources[f"{google.RESOURCES}:getIamPolicy"]
        policy["bindings"] = [each for each in policy["bindings"] if each["role"] != role]

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


def _disable(project: Project, api: str) -> None:
    project.services[api] = "DISABLED"


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
    ("no key of hashes", "settings", variables(SLUICE_RECORD="tests.ingest.people:Person"), "pii_secret_version"),
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
    ("the service may not query", "service-account", without("roles/bigquery.jobUser"), "terraform apply"),
    ("metrics are refused", "telemetry-account", without("roles/telemetry.metricsWriter"), "terraform apply"),
    ("traces are refused", "telemetry-account", without("roles/cloudtrace.agent"), "terraform apply"),
    (
        "no quota may be used",
        "telemetry-account",
        without("roles/serviceusage.serviceUsageConsumer"),
        "terraform apply",
    ),
    ("traces by OTLP are refused", "telemetry-account", variables(SLUICE_TRACES="cloud-otlp"), "terraform apply"),
    ("the service may not append", "service-account", change(f"{_REJECTS}:getIamPolicy", bindings=[]), "terraform"),
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
ALSO = {
    "no key of hashes": {"table-records"},
    "an API of the beginning is off": {"apis"},
    "no alerts": {"alert-queries"},
}
"""Checks that look at the same thing, and fail with it."""
