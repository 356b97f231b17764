"""Every setting of the service: one frozen Struct, read once from the environment.

A name that begins with SLUICE_ and is not listed here is an error, so that a misspelt setting is not silently ignored.
`python -m app.settings` prints them as a table (docs/settings.md is that output).
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.settings.rules import disagreements
from app.settings.store import StoreSettings

PREFIX = "SLUICE_"
MIB, GIB = 1024**2, 1024**3
_BASE_URL = "^https?://[^/]+$"
_CACHE_URL = "^((valkey|redis)s?://[^/?#]+(/[0-9]+)?)?$"
Seconds = Annotated[float, Meta(gt=0, le=31 * 86_400)]
Count = Annotated[int, Meta(gt=0)]


class SettingsError(Exception):
    """The environment does not contain valid settings; the message names each variable and the correct form."""


class Settings(StoreSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings, with defaults for a laptop. Names are those of the variables, without SLUICE_, in lower case."""

    host: Annotated[str, Meta(description="Address to listen on. Beyond loopback, the API wants principals.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on; $PORT counts when this is not set.")] = (
        8080
    )
    roles: Annotated[
        tuple[Literal["ingest", "query"], ...],
        Meta(min_length=1, description="Which endpoints this instance serves: `ingest`, `query`, or both."),
    ] = ("ingest", "query")
    record: Annotated[str, Meta(description="The record type: `package.module:Type`, a msgspec.Struct.")] = (
        "app.record:Record"
    )
    backend: Annotated[
        Literal["embedded", "bigquery"],
        Meta(description="Where records are stored: `embedded`, a DuckDB file of this process, or `bigquery`."),
    ] = "embedded"
    bigquery_project: Annotated[
        str, Meta(description="The project of the tables, which also runs and pays for the queries. Never guessed.")
    ] = ""
    bigquery_dataset: Annotated[str, Meta(description="The dataset of the tables.")] = ""
    bigquery_location: Annotated[
        str, Meta(description="The dataset's location, such as `EU`. Empty: BigQuery finds it, a little slower.")
    ] = ""
    bigquery_rest_url: Annotated[
        str,
        Meta(
            pattern=_BASE_URL,
            description="Where BigQuery's REST API is. With `https` it is called with the application-default "
            "credentials; `http` is an emulator, called without any.",
        ),
    ] = "https://bigquery.googleapis.com"
    bigquery_storage_url: Annotated[
        str,
        Meta(
            pattern=_BASE_URL,
            description="Where BigQuery's Storage API (gRPC) is; `https` and `http` mean the same as for REST.",
        ),
    ] = "https://bigquerystorage.googleapis.com"
    bigquery_max_connections: Annotated[
        Count, Meta(le=100, description="Connections for appends to one table; more are opened only under load.")
    ] = 4
    poll_s: Annotated[
        Seconds,
        Meta(
            description="How often readers that wait for new records look for them (BigQuery, where each look bills at "
            "least 10 MB; the embedded store is looked at four times a second)."
        ),
    ] = 5.0
    query_timeout_s: Annotated[Seconds, Meta(description="A query that takes longer is given up (BigQuery).")] = 30.0
    query_max_bytes_billed: Annotated[
        Count, Meta(description="A query that would read more is refused before it costs anything (BigQuery).")
    ] = 10 * GIB
    page_budget_s: Annotated[
        Seconds,
        Meta(description="A page whose queries took longer ends there, with a cursor to go on from."),
    ] = 10.0
    max_page_bytes: Annotated[
        Count, Meta(description="A page whose rows come to more ends there, with a cursor to go on from.")
    ] = 8 * MIB
    cache_max_bytes: Annotated[
        Count, Meta(description="Memory for answers that may be given again, without `SLUICE_CACHE_URL`.")
    ] = 64 * MIB
    cache_closed_s: Annotated[
        Seconds, Meta(description="How long answers about windows that are over, and so never change, are kept.")
    ] = 3_600.0
    max_exports: Annotated[
        Count,
        Meta(
            description="Exports (`limit=all`) at once, three quarters of them for one caller; one more is "
            "answered 429."
        ),
    ] = 4
    max_waits: Annotated[
        Count, Meta(description="Requests with `wait` that wait at once, for each table; one more is answered at once.")
    ] = 500
    max_large_answer_bytes: Annotated[
        Count,
        Meta(
            description="Memory for answers above 32 KiB, exports and tails being sent, three quarters of it for one "
            "caller; one more is answered 429. What needs no token has a quarter as much of its own, by address."
        ),
    ] = 64 * MIB
    max_tails: Annotated[
        Count,
        Meta(
            description="Readers of `/v1/records/tail` at once, three quarters of them of one caller; one more is "
            "answered 429."
        ),
    ] = 100
    tail_max_s: Annotated[
        Seconds,
        Meta(
            description="A tail ends itself after this long, and the reader's browser goes on where it was; below the "
            "time-out of the platform, which is 300 s on Cloud Run unless set otherwise."
        ),
    ] = 240.0
    look_up_max_bytes_billed: Annotated[
        Count,
        Meta(
            description="The same for a look-up by id, which bills far less than BigQuery reckons beforehand, as the "
            "table is clustered by id."
        ),
    ] = 100 * GIB

    push_audience: Annotated[str, Meta(description="The `aud` a push token must carry, exactly.")] = "sluice"
    push_principals: Annotated[
        tuple[str, ...], Meta(description="E-mails of the service accounts that may push. None: nobody can.")
    ] = ()
    api_audience: Annotated[str, Meta(description="The `aud` an API token must carry, exactly.")] = "sluice"
    api_principals: Annotated[
        tuple[str, ...],
        Meta(
            description="E-mails that may do everything on `/v1` but erase. None, and no grants: open, and only "
            "allowed on a loopback address."
        ),
    ] = ()
    grants_file: Annotated[
        str, Meta(description="A JSON file of further callers: e-mails and API keys, and what each may do (access.md).")
    ] = ""
    requests_per_minute: Annotated[
        int,
        Meta(ge=0, description="How often one caller may read in a minute, where its grant does not say; 0: no limit."),
    ] = 1_200
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins whose pages may call `/v1` from a browser; `*`: any. None: only our own."),
    ] = ()
    cache_url: Annotated[
        str,
        Meta(
            pattern=_CACHE_URL,
            description="Where instances share the cache of answers and the count of requests, such as "
            "`valkey://10.0.0.3:6379/0`. Empty: each instance has its own.",
        ),
    ] = ""
    token_issuer: Annotated[str, Meta(description="The `iss` of every token.")] = "https://accounts.google.com"
    token_keys_url: Annotated[
        str,
        Meta(description="Where the issuer's keys are: a JSON object of key id to PEM.", pattern="^https?://"),
    ] = "https://www.googleapis.com/oauth2/v1/certs"
    token_leeway_s: Annotated[
        int, Meta(ge=0, le=300, description="How far the issuer's clock may differ from ours.")
    ] = 10
    platform_iam: Annotated[
        Literal["off", "trust"],
        Meta(
            description="`trust`: Cloud Run checks callers itself and replaces each token's signature by its marker; "
            "such tokens' claims are then believed. Only on Cloud Run."
        ),
    ] = "off"

    ack_deadline_s: Annotated[Seconds, Meta(description="The subscription's ack deadline, as deployed.")] = 60.0
    request_budget_s: Annotated[
        Seconds, Meta(description="After this long a message that is not durable is answered 503.")
    ] = 30.0
    append_deadline_s: Annotated[Seconds, Meta(description="One attempt to append may take this long.")] = 10.0
    late_commit_margin_s: Annotated[
        Seconds, Meta(description="How long after an attempt was given up the store may still commit it.")
    ] = 10.0
    clock_skew_s: Annotated[Seconds, Meta(description="How far instances' clocks may differ.")] = 2.0
    settle_s: Annotated[
        Seconds,
        Meta(description="Age at which a record's place in the feed is final (the embedded store needs none)."),
    ] = 30.0
    dedupe_lookback_s: Annotated[
        Seconds, Meta(description="Copies of a delivery this far apart are returned once.")
    ] = 900.0
    retry_backoff_max_s: Annotated[
        Seconds, Meta(description="The subscription's longest retry back-off, as deployed.")
    ] = 600.0
    shutdown_grace_s: Annotated[
        Seconds,
        Meta(description="After SIGTERM, how long admitted messages may take; Cloud Run gives 10 s in all."),
    ] = 8.0

    max_body_bytes: Annotated[
        Count, Meta(description="A larger request body is answered 413. Pub/Sub's largest push is 13.4 MiB.")
    ] = 14 * MIB
    max_batch_rows: Annotated[Count, Meta(description="Rows in one append.")] = 5_000
    max_batch_bytes: Annotated[Count, Meta(description="Bytes in one append (BigQuery takes 10 MB).")] = 9_000_000
    max_in_flight_messages: Annotated[
        Count, Meta(description="Messages being worked on, three quarters for one caller; one more is answered 429.")
    ] = 2_000
    max_in_flight_bytes: Annotated[Count, Meta(description="Bytes of those messages, likewise.")] = 96 * MIB
    dedupe_max_messages: Annotated[
        Count,
        Meta(
            description="How many stored messages (and records, for HTTP) an instance remembers, to drop copies early."
        ),
    ] = 200_000
    max_window_days: Annotated[Count, Meta(description="The longest window one query may span.")] = 31

    @property
    def project(self) -> str:
        """The project that receives traces and metrics."""
        return self.telemetry_project or self.bigquery_project

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`.

    Raises:
        SettingsError: a variable is unknown, has the wrong type, or contradicts another.
    """
    known = {PREFIX + name.upper(): name for name in Settings.__struct_fields__}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}; the settings are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    if "PORT" in environ:
        values["port"] = environ["PORT"]
    lists = {field.name for field in msgspec.structs.fields(Settings) if isinstance(field.default, tuple)}
    for variable, name in known.items():
        if variable in environ:
            text = environ[variable]
            values[name] = [item.strip() for item in text.split(",") if item.strip()] if name in lists else text
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`").split("[")[0]
        variable = PREFIX + name.upper()
        variable = variable if variable in environ else "PORT"
        raise SettingsError(f"{variable}: {message[:1].lower()}{message[1:]}") from None
    problems = disagreements(settings, environ)
    if problems:
        raise SettingsError("; ".join(problems))
    return settings
