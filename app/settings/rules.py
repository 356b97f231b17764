"""Check that settings agree with each other: each rule names the variables, the problem and the reason. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.settings.auth import AuthSettings
from app.settings.ingest import IngestSettings
from app.settings.query import QuerySettings
from app.settings.server import ServerSettings
from app.settings.store import StoreSettings

if TYPE_CHECKING:
    from app.settings.load import Settings


def disagreements(settings: "Settings", environ: Mapping[str, str]) -> list[str]:
    """Return the problems of `settings`, read from `environ`; none if they agree."""
    return [
        *_clock_problems(settings.ingest, settings.store, settings.query),
        *_type_problems(environ),
        *_access_problems(settings.auth, settings.server, environ),
        *_store_problems(settings),
    ]


def _clock_problems(ingest: IngestSettings, store: StoreSettings, query: QuerySettings) -> list[str]:
    settled_s = store.append_deadline_s + store.late_commit_margin_s + store.clock_skew_s
    inequalities = [
        (
            store.append_deadline_s < ingest.request_budget_s,
            f"SLUICE_APPEND_DEADLINE_S ({store.append_deadline_s:g}) must be below SLUICE_REQUEST_BUDGET_S "
            f"({ingest.request_budget_s:g}), so that each message has time for at least one attempt",
        ),
        (
            ingest.request_budget_s < ingest.ack_deadline_s,
            f"SLUICE_REQUEST_BUDGET_S ({ingest.request_budget_s:g}) must be below SLUICE_ACK_DEADLINE_S "
            f"({ingest.ack_deadline_s:g}), so that the answer arrives before Pub/Sub delivers the message again",
        ),
        (
            store.settle_s >= settled_s,
            f"SLUICE_SETTLE_S ({store.settle_s:g}) must be at least {settled_s:g}, the sum of "
            "SLUICE_APPEND_DEADLINE_S, SLUICE_LATE_COMMIT_MARGIN_S and SLUICE_CLOCK_SKEW_S: readers would miss "
            "a later commit",
        ),
        (
            store.settle_s < 60,
            f"SLUICE_SETTLE_S ({store.settle_s:g}) must be below 60: a record must be visible within a minute",
        ),
        (
            query.dedupe_lookback_s >= ingest.retry_backoff_max_s + ingest.ack_deadline_s,
            f"SLUICE_DEDUPE_LOOKBACK_S ({query.dedupe_lookback_s:g}) must be at least "
            f"{ingest.retry_backoff_max_s + ingest.ack_deadline_s:g}, the sum of SLUICE_RETRY_BACKOFF_MAX_S and "
            "SLUICE_ACK_DEADLINE_S: a redelivery can arrive that late",
        ),
    ]
    return [problem for holds, problem in inequalities if not holds]


def _type_problems(environ: Mapping[str, str]) -> list[str]:
    if environ.get("SLUICE_RECORD") and environ.get("SLUICE_STREAMS"):
        return [
            "SLUICE_RECORD and SLUICE_STREAMS exclude each other: to add streams to a single type, name the type in "
            "the mapping too, first and as `records`, and unset SLUICE_RECORD"
        ]
    return []


def _access_problems(auth: AuthSettings, server: ServerSettings, environ: Mapping[str, str]) -> list[str]:
    problems = []
    is_open = not auth.api_principals and not auth.grants_file
    if is_open and not server.is_loopback:  # whatever the roles: ingest has POST /v1/records
        problems.append(
            "SLUICE_API_PRINCIPALS is empty, so /v1 is open to everyone: name its callers there or in "
            f"SLUICE_GRANTS_FILE, or listen on 127.0.0.1 (SLUICE_HOST is {server.host})"
        )
    if is_open and "*" in auth.cors_origins:
        # A page must add its token itself, whereas the browser sends cookies on its own. So any page may call, and
        # learns nothing without a token. If no token is required, every web page could read and write.
        problems.append(
            "SLUICE_CORS_ORIGINS=* would open /v1 to every web page, because /v1 needs no token on this "
            "machine: list the origins, or name the callers in SLUICE_API_PRINCIPALS or SLUICE_GRANTS_FILE"
        )
    both = sorted(set(auth.push_principals) & set(auth.api_principals))
    if both:
        problems.append(
            f"SLUICE_PUSH_PRINCIPALS and SLUICE_API_PRINCIPALS both list {', '.join(both)}: a push principal "
            "may only push"
        )
    if auth.platform_iam == "trust" and "K_SERVICE" not in environ:
        problems.append("SLUICE_PLATFORM_IAM=trust is allowed on Cloud Run only, and this process does not run there")
    return problems


def _store_problems(s: "Settings") -> list[str]:
    problems = []
    if s.store.backend == "bigquery":
        problems = [
            f"{variable} must be set when SLUICE_BACKEND is bigquery, for example {example}"
            for variable, value, example in (
                ("SLUICE_BIGQUERY_PROJECT", s.store.bigquery_project, "my-project"),
                ("SLUICE_BIGQUERY_DATASET", s.store.bigquery_dataset, "events"),
            )
            if not value
        ]
    elif not s.project and ("cloud" in s.telemetry.metrics or s.telemetry.traces in {"cloud", "cloud-otlp"}):
        problems.append("SLUICE_BIGQUERY_PROJECT must name the project that receives traces and metrics")
    if s.query.cache_url and not s.query.cache_secret:
        problems.append(
            "SLUICE_CACHE_URL needs SLUICE_CACHE_SECRET, the key that encrypts what instances share: at least 32 "
            "random characters, the same for all, for example from `openssl rand -hex 32`"
        )
    return problems
