"""Check that settings agree with each other: each rule names the variables, the problem and the reason. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from app.settings.auth import AuthSettings
from app.settings.ingest import IngestSettings
from app.settings.query import QuerySettings
from app.settings.server import ServerSettings
from app.settings.store import StoreSettings

if TYPE_CHECKING:
    from app.settings.load import Settings

# Pub/Sub allows 100 attributes of 256 + 1,024 bytes and a key of 1,024; escaping in JSON may turn a byte into six.
ENVELOPE_BYTES = 1_000_000
MIN_SECRET_LENGTH = 16
MIN_MARGIN_S = 1.0  # the shortest keep-alive timeout of a connection
# https://cloud.google.com/resource-manager/docs/creating-managing-projects, with the domain in old ids;
# https://cloud.google.com/bigquery/docs/datasets#dataset-naming
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,62}")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
# https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
_ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def disagreements(settings: "Settings", environ: Mapping[str, str]) -> list[str]:
    """Return the problems of `settings`, read from `environ`; none if they agree."""
    return [
        *_clock_problems(settings.ingest, settings.store, settings.query),
        *_seek_problems(settings.ingest.seek_since),
        *_size_problems(settings.ingest),
        *_type_problems(environ),
        *_access_problems(settings.auth, settings.server, environ),
        *_bigquery_problems(settings.store),
        *_telemetry_problems(settings),
        *_secret_problems(settings),
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


def _seek_problems(since: str) -> list[str]:
    if not since:
        return []
    try:
        msgspec.convert(since, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError:
        return [
            f"SLUICE_SEEK_SINCE ({since}) must be an instant with an offset, such as 2026-01-31T12:00:00Z: the one "
            "that the subscription is sought to"
        ]
    return []


def _size_problems(ingest: IngestSettings) -> list[str]:
    most = ingest.max_batch_bytes - ENVELOPE_BYTES
    if ingest.max_record_bytes <= most:
        return []
    return [
        f"SLUICE_MAX_RECORD_BYTES ({ingest.max_record_bytes}) must be at most {most}: a record and its envelope must "
        "fit in one append"
    ]


def _access_problems(auth: AuthSettings, server: ServerSettings, environ: Mapping[str, str]) -> list[str]:
    problems = _origin_problems(auth)
    is_open = not auth.api_principals and not auth.grants_file
    if is_open and not server.is_loopback:  # whatever the roles: ingest has POST /v1/records
        problems.append(
            "SLUICE_API_PRINCIPALS is empty, so /v1 is open to everyone: name its callers there or in "
            f"SLUICE_GRANTS_FILE, or listen on 127.0.0.1 (SLUICE_HOST is {server.host})"
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


def _origin_problems(auth: AuthSettings) -> list[str]:
    if auth.cors_origins == ("*",):
        # A page must add its token itself, whereas the browser sends cookies on its own. So any page may call, and
        # learns nothing without a token. If no token is required, every web page could read and write.
        if auth.api_principals or auth.grants_file:
            return []
        return [
            "SLUICE_CORS_ORIGINS=* would open /v1 to every web page, because /v1 needs no token on this "
            "machine: list the origins, or name the callers in SLUICE_API_PRINCIPALS or SLUICE_GRANTS_FILE"
        ]
    return [
        f"SLUICE_CORS_ORIGINS: {origin!r} is not an origin such as https://app.example.com or "
        "http://localhost:3000; `*` must be the only entry"
        for origin in auth.cors_origins
        if not _ORIGIN.fullmatch(origin)
    ]


def _bigquery_problems(store: StoreSettings) -> list[str]:
    if store.backend != "bigquery":
        return []
    names = (
        ("SLUICE_BIGQUERY_PROJECT", store.bigquery_project, _PROJECT, "my-project"),
        ("SLUICE_BIGQUERY_DATASET", store.bigquery_dataset, _DATASET, "events"),
    )
    problems = [
        f"{variable} must be set when SLUICE_BACKEND is bigquery, for example {example}"
        if not value
        else f"{variable} ({value}) is not a valid BigQuery name such as {example}"
        for variable, value, pattern, example in names
        if not pattern.fullmatch(value)
    ]
    if store.late_commit_margin_s < MIN_MARGIN_S:
        problems.append(
            f"SLUICE_LATE_COMMIT_MARGIN_S ({store.late_commit_margin_s:g}) must be at least {MIN_MARGIN_S:g} "
            "with BigQuery: a broken connection is detected only after that time, and delivers nothing later"
        )
    return problems


def _telemetry_problems(s: "Settings") -> list[str]:
    if s.project or ("cloud" not in s.telemetry.metrics and s.telemetry.traces not in {"cloud", "cloud-otlp"}):
        return []
    return ["SLUICE_BIGQUERY_PROJECT must name the project that receives traces and metrics"]


def _secret_problems(settings: "Settings") -> list[str]:
    """Check the secrets, without quoting any."""
    problems = []
    if settings.query.cache_url and not settings.query.cache_secret:
        problems.append(
            "SLUICE_CACHE_URL needs SLUICE_CACHE_SECRET, the key that encrypts what instances share: at least 32 "
            "random characters, the same for all, for example from `openssl rand -hex 32`"
        )
    for variable, secret in (
        ("SLUICE_SIGNING_SECRET", settings.auth.signing_secret),
        ("SLUICE_HEARTBEAT_SIGNATURE", settings.auth.heartbeat_signature),
    ):
        if secret != secret.strip():
            problems.append(
                f"{variable} begins or ends with white space, which other holders of the secret may not have: remove it"
            )
        elif 0 < len(secret) < MIN_SECRET_LENGTH:
            problems.append(
                f"{variable} has {len(secret)} characters: it needs at least {MIN_SECRET_LENGTH}, for example "
                "from `openssl rand -hex 32`"
            )
    return problems
