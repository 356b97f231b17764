"""Make and run BigQuery jobs; this is the only place that does, so that each job has its guards.

A short query may be answered without any job ("short-query mode"): jobs.query waits _FIRST_ANSWER_MS for it. A longer
one becomes a job, whose name is in the first answer; from then on it can be cancelled. A query that is abandoned
within its first two seconds is cancelled when they are over, unless it is done by then.
"""

import logging
import threading
import uuid
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Protocol, cast

import msgspec
from google.api_core.exceptions import Conflict, GoogleAPICallError
from google.api_core.retry import Retry
from google.cloud.bigquery import Client, QueryJob, QueryJobConfig
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ConnectionError  # noqa: A004 - requests' own

from app.runtime.instants import from_epoch_us
from app.settings.load import Settings
from app.stores.bigquery.client import TableAddress
from app.stores.bigquery.cost_limits import job_config, timeout_s
from app.stores.bigquery.failures import reason_of
from app.stores.source import Answer, Row
from app.stores.sql.statement import Statement
from app.telemetry.redaction import first_line

_FIRST_ANSWER_MS = 2_000
_HTTP_TIMEOUT_S = 20.0  # of one call; jobs.getQueryResults waits 10 s by itself
_RETRY_S = 5.0  # of one call; the library's own retries last ten minutes
_CANCEL_TIMEOUT_S = 5.0
_log = logging.getLogger("sluice.query")


class GivenUpError(Exception):
    """The query was abandoned by its caller."""


class Reference(msgspec.Struct, frozen=True):
    """A job's full name."""

    project: str
    job_id: str
    location: str | None


class Run:
    """One query in BigQuery, shared by the thread that runs it and the one that may abandon it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given_up = self._stopped = False
        self._job: Reference | None = None
        self.begun = False  # whether a thread has started it
        self.client: Client | None = None  # starts its job, and may cancel it

    def give_up(self) -> Reference | None:
        """Prevent any further call; return the job that must be cancelled now, if there is one."""
        with self._lock:
            self._given_up = True
            return self._to_be_stopped()

    def check(self) -> None:
        """Raise GivenUpError once the run was abandoned."""
        if self._given_up:
            raise GivenUpError

    def note(self, job: Reference | None) -> Reference | None:
        """Record the job that runs now, or None; return it if it must be cancelled, but only once."""
        with self._lock:
            self._job = job
            return self._to_be_stopped() if self._given_up else None

    def _to_be_stopped(self) -> Reference | None:
        job = None if self._stopped else self._job
        self._stopped = self._stopped or job is not None
        return job


def run_for_rows(client: Client, statement: Statement, place: TableAddress, settings: Settings, run: Run) -> Answer:
    """Run `statement` in short-query mode and return its rows. Blocks; raises what the client library raises.

    Raises:
        GivenUpError: the run was abandoned; its job, if it had become one, was cancelled.
    """
    resource = job_config(statement, place, settings).to_api_repr()
    # How long jobs.query waits. With its own argument for this, the library would allow the HTTP call only 0.25 s more,
    # which a busy network exceeds.
    resource["query"]["timeoutMs"] = _FIRST_ANSWER_MS
    config: Any = QueryJobConfig.from_api_repr(resource)

    def ask() -> Any:
        return client.query_and_wait(
            statement.sql,
            job_config=config,
            location=place.location,
            project=place.project,
            wait_timeout=timeout_s(statement.purpose, settings),
            retry=_Watch(client, run, _is_answered_transient),
            job_retry=None,  # type: ignore[arg-type] # documented: no restart of a failed job
        )

    # If jobs.query itself breaks off, it is called again under another request id. The outcome of the first call is
    # unknown; at worst, the query is read twice. _Watch repeats the calls for its job and its pages. If they keep
    # failing, that is a RetryError, after which nothing is started again.
    result = _briefly(_is_broken_connection)(ask)()
    rows, size_bytes, cut = _fetched(result, row_decoder(result.schema), statement.max_bytes)
    return Answer(rows, result.total_bytes_processed, size_bytes, cut)


def _fetched(
    result: Any, decode: Callable[[dict[str, Any]], dict[str, Any]], max_bytes: int | None
) -> tuple[list[Row], int, bool]:
    """Return the rows of an answer up to `max_bytes` of text, their size in bytes, and whether there are more."""
    rows: list[Row] = []
    total_bytes = 0
    for page in result.pages:  # each of 10 MB at most, fetched when it is reached
        for row in page.raw_page.get("rows", ()):
            if max_bytes is not None:
                row_bytes = len(str(row))
                if total_bytes + row_bytes > max_bytes and rows:
                    return rows, total_bytes, True
                total_bytes += row_bytes
            rows.append(decode(row))
    return rows, total_bytes, False


def dry_run(client: Client, statement: Statement, place: TableAddress, settings: Settings, run: Run) -> int | None:
    """Return how many bytes `statement` would read, at most. Blocks, raises as above."""
    config = job_config(statement, place, settings)
    config.dry_run = True
    job = client.query(
        statement.sql,
        job_config=config,
        location=place.location,
        project=place.project,
        retry=_Watch(client, run, _is_transient),
        job_retry=None,
        timeout=_HTTP_TIMEOUT_S,
    )
    size_bytes: int | None = job.total_bytes_processed
    return size_bytes


def run_for_table(
    client: Client, statement: Statement, place: TableAddress, settings: Settings, run: Run
) -> tuple[str, int | None]:
    """Run `statement` as a job; return the path of the table of its result, and the bytes that it read.

    The table is temporary. Blocks, raises as above.
    """
    job = _run_job(client, statement, place, settings, run)
    table = job.destination
    return f"projects/{table.project}/datasets/{table.dataset_id}/tables/{table.table_id}", job.total_bytes_processed


def _run_job(client: Client, statement: Statement, place: TableAddress, settings: Settings, run: Run) -> QueryJob:
    """Run `statement` to its end, as a job named by us."""
    reference = Reference(place.project, f"sluice_{statement.purpose}_{uuid.uuid4()}", place.location)
    run.note(reference)  # so it can be cancelled from the start, and never runs twice
    watch = _Watch(client, run, _is_transient)
    try:
        job = client.query(
            statement.sql,
            job_config=job_config(statement, place, settings),
            job_id=reference.job_id,
            location=place.location,
            project=place.project,
            retry=watch,
            job_retry=None,
            timeout=_HTTP_TIMEOUT_S,
        )
    except Conflict:  # an attempt whose answer was lost has started it
        job = cast(
            "QueryJob", client.get_job(reference.job_id, project=place.project, location=place.location, retry=watch)
        )
    job.result(retry=watch, timeout=timeout_s(statement.purpose, settings))
    run.note(None)
    return job


def run_for_changes(client: Client, statement: Statement, place: TableAddress, settings: Settings, run: Run) -> int:
    """Run a DELETE as a job and return how many rows it removed. Blocks, raises as above."""
    job = _run_job(client, statement, place, settings, run)
    return int(job.num_dml_affected_rows or 0)


def cancel(client: Client, job: Reference) -> None:
    """Tell BigQuery to stop `job`. Blocks; a failure is logged and has no other effect: the job has its own timeout."""
    try:
        client.cancel_job(
            job.job_id,
            project=job.project,
            location=job.location,
            retry=None,  # type: ignore[arg-type] # documented: no retry
            timeout=_CANCEL_TIMEOUT_S,
        )
    except Exception as error:  # any failure: see above
        _log.warning("cannot cancel the job %s: %s", job.job_id, first_line(error))


def bound_connections(client: Client, threads: int) -> None:
    """Limit every HTTP call of `client` to _HTTP_TIMEOUT_S, and keep a connection for each thread."""
    adapter = _BoundedAdapter(pool_connections=threads, pool_maxsize=threads)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - the library has no setting for either


class _BoundedAdapter(HTTPAdapter):
    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override] # requests names all of them
        """Send `request` with a timeout, which the library omits or raises to two minutes."""
        options["timeout"] = min(options.get("timeout") or _HTTP_TIMEOUT_S, _HTTP_TIMEOUT_S)
        return super().send(request, **options)


class _Watch(Retry):
    """Retries a library call briefly, and checks before and after each attempt whether the run was abandoned."""

    def __init__(self, client: Client, run: Run, predicate: Callable[[BaseException], bool]) -> None:
        super().__init__(predicate=predicate, initial=0.1, maximum=1.0, multiplier=2.0, timeout=_RETRY_S)
        self._client, self._run = client, run

    def __call__(self, func: Callable[..., Any], on_error: Callable[[Exception], Any] | None = None) -> Any:
        """Wrap `func`, a call of the REST API that returns the answer's JSON; a GET may always be repeated."""
        reads = getattr(func, "keywords", {}).get("method") == "GET"
        wrap: Callable[..., Any] = _briefly(_is_transient) if reads else super().__call__

        def attempt(*args: Any, **kwargs: Any) -> Any:
            self._run.check()
            return func(*args, **kwargs)

        retried = wrap(attempt, on_error)

        def watched(*args: Any, **kwargs: Any) -> Any:
            answer = retried(*args, **kwargs)
            abandoned = self._run.note(_running_job(answer))
            if abandoned is not None:
                cancel(self._client, abandoned)
            self._run.check()
            return answer

        return watched


def _running_job(answer: dict[str, Any]) -> Reference | None:
    """Return the running job that an answer of jobs.query, jobs.getQueryResults, jobs.get or jobs.insert names.

    A later page of a result names none: the library requests only some members, and the job is done.
    """
    reference = answer.get("jobReference") or {}
    state = (answer.get("status") or {}).get("state")
    running = answer.get("jobComplete") is False or state in {"PENDING", "RUNNING"}
    if not running or "jobId" not in reference:
        return None
    return Reference(reference["projectId"], reference["jobId"], reference.get("location"))


def _briefly(predicate: Callable[[BaseException], bool]) -> Retry:
    return Retry(predicate=predicate, initial=0.1, maximum=1.0, multiplier=2.0, timeout=_RETRY_S)


def _is_transient(failure: BaseException) -> bool:
    return _is_broken_connection(failure) or _is_answered_transient(failure)


def _is_broken_connection(failure: BaseException) -> bool:
    return isinstance(failure, ConnectionError | ChunkedEncodingError)


def _is_answered_transient(failure: BaseException) -> bool:
    if not isinstance(failure, GoogleAPICallError):
        return False
    return failure.code in {500, 502, 503} and reason_of(failure) in {"", "backendError", "internalError", "badGateway"}


_Decode = Callable[[Any], Any]


class Field(Protocol):
    """A column of a result, as the client library describes it; `field_type` is a standard or legacy SQL name."""

    name: str
    field_type: str
    mode: str
    fields: Sequence["Field"]


def row_decoder(fields: Sequence[Field]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that turns a row of an answer into values by column name.

    Raises:
        ValueError: a column's type has no value that a QueryRunner could promise.
    """
    columns = [(field.name, _decoder(field)) for field in fields]

    def decode(row: dict[str, Any]) -> dict[str, Any]:
        return {name: decode_cell(cell["v"]) for (name, decode_cell), cell in zip(columns, row["f"], strict=True)}

    return decode


def _decoder(field: Field) -> _Decode:
    kind = field.field_type.upper()
    if kind in {"RECORD", "STRUCT"}:
        item: _Decode = row_decoder(field.fields)
    elif kind in _SCALARS:
        item = _SCALARS[kind]
    else:
        raise ValueError(f"the column {field.name} has the type {kind}, which no record type declares")
    return _list_decoder(item) if field.mode == "REPEATED" else _nullable_decoder(item)


def _nullable_decoder(item: _Decode) -> _Decode:
    def decode(value: Any) -> Any:
        return None if value is None else item(value)

    return decode


def _list_decoder(item: _Decode) -> _Decode:
    def decode(values: list[dict[str, Any]] | None) -> list[Any]:
        return [item(value["v"]) for value in values or ()]  # a NULL list was stored as an empty one

    return decode


_SCALARS: dict[str, _Decode] = {
    "BOOL": lambda text: text.lower() == "true",
    "INT64": int,
    "FLOAT64": float,  # parses NaN, Infinity and -Infinity too
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,  # BigQuery widens a NUMERIC column to it in place
    "STRING": str,
    "BYTES": b64decode,
    "TIMESTAMP": lambda text: from_epoch_us(int(text)),
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "JSON": lambda text: msgspec.Raw(text.encode()),
}
_SCALARS |= {"BOOLEAN": _SCALARS["BOOL"], "INTEGER": _SCALARS["INT64"], "FLOAT": _SCALARS["FLOAT64"]}
