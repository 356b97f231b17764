"""What can be broken in a project, each alone: the check that looks at it, and a part of its cure."""

from tests.ops.preflight.breaking import (
    Break,
    change,
    column,
    disable,
    inside,
    lose,
    missing,
    policy,
    quota,
    together,
    variables,
    without,
)
from tests.ops.preflight.broken_subscription import SUBSCRIPTION
from tests.support.google_cloud import project as google

_RECORDS = f"{google.DATASET}/tables/records"
_REJECTS = f"{google.DATASET}/tables/records_rejected"
_INSTANCES = f"{google.DATASET}/tables/_instances"
_ALERTS = f"{google.MONITORING}/v3/projects/{google.PROJECT}/alertPolicies"
_CHANNELS = f"{google.MONITORING}/v3/projects/{google.PROJECT}/notificationChannels"
_BOARDS = f"{google.MONITORING}/v1/projects/{google.PROJECT}/dashboards"


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
    (
        "too many connections",
        "connections",
        together(
            change(google.DATASET, location="europe-west1"),
            variables(SLUICE_BIGQUERY_LOCATION="europe-west1", SLUICE_BIGQUERY_MAX_CONNECTIONS="51"),
        ),
        "lower instances.max",
    ),
    ("too few pushes", "quota-pushes", quota("pubsub.googleapis.com", "60000"), "request more"),
    ("too few processors", "quota-instances", quota("run.googleapis.com", "9000"), "request more"),
    ("an API of the beginning is off", "first-apis", disable("iam.googleapis.com"), "gcloud services"),
    ("another API is off", "apis", disable("secretmanager.googleapis.com"), "terraform apply"),
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
    ("no table of watermarks", "table-instances", missing(_INSTANCES), "terraform apply"),
    ("watermarks without partitions", "table-instances", lose(_INSTANCES, "timePartitioning"), "app.schema bigquery"),
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
    ("clustered by the id", "table-records", change(_RECORDS, clustering={"fields": ["id"]}), "terraform apply"),
    ("no search index", "id-index", lambda p: p.search_indexes.clear(), "id_index = false"),
    (
        "a search index that is gone",
        "id-index",
        lambda p: p.search_indexes.update(records=[("PERMANENTLY DISABLED", 0.0)]),
        "sluice schema index --apply",
    ),
    ("kept for ever", "table-rejects", inside(_REJECTS, "timePartitioning", expirationMs=None), "retention_days"),
    (
        "a deletion is refused",
        "statements",
        lambda p: p.refused_statements.append("DELETE FROM"),
        "mend the tables first",
    ),
    *SUBSCRIPTION,
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
    ("the backlog is not to be read", "telemetry-account", without("roles/monitoring.viewer"), "terraform apply"),
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
