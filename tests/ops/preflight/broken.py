"""What can be broken in a project, each alone: the check that looks at it, and a part of its cure."""

from tests.ops.preflight.breaking import (
    Break,
    change,
    inside,
    missing,
    variables,
    without,
)
from tests.ops.preflight.broken_subscription import SUBSCRIPTION
from tests.support.google_cloud import project as google

_REJECTS = f"{google.DATASET}/tables/records_rejected"


BROKEN: list[tuple[str, str, Break, str]] = [
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
    ("the service may not append", "service-account", change(f"{_REJECTS}:getIamPolicy", bindings=[]), "terraform"),
    ("the reader is not yours", "reader", lambda p: setattr(p, "may_impersonate", False), "add-iam-policy-binding"),
    ("the reader is not known", "reader", variables(SLUICE_API_PRINCIPALS="other@example.com"), "api_principals"),
    (
        "the token has no e-mail",
        "reader",
        lambda p: p.token_claims.pop("email"),
        "api_principals",
    ),
]
