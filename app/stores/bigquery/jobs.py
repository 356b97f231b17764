"""Run queries in BigQuery by its REST API; this is the only place that does, so that each has its limits and labels.

A short query may be answered without any job ("short-query mode"): jobs.query waits _FIRST_ANSWER_MS for it. A longer
one becomes a job, which the first answer names; from then on it can be cancelled. A query that is abandoned within its
first two seconds is cancelled when they are over, unless it is done by then.

https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query
"""

import logging
import uuid
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeGuard

import msgspec
from google.api_core.exceptions import Conflict, GoogleAPICallError
from google.api_core.retry import Retry
from google.cloud.bigquery import Client
from requests.exceptions import ChunkedEncodingError, ConnectionError  # noqa: A004 - requests' own

from app.runtime.clock import Clock
from app.runtime.instants import HOUR_US, MINUTE_US, epoch_us, from_epoch_us
from app.settings.load import Settings
from app.stores.bigquery.client import TableAddress
from app.stores.bigquery.failures import reason_of
from app.stores.query import Count, Deletion, LookUp, Position, Purpose, Query, Rows, Scalar, State
from app.stores.source import Answer, Row
from app.stores.sql.statement import Statement
from app.telemetry.redaction import first_line

# An export makes the table of its result before its first byte, and its client expects to wait. An erasure rewrites
# all data that it touches. A backfill reads the keys of a whole table.
_LONG: set[Purpose] = {"export", "erase", "backfill"}
_LONG_TIMEOUT_FACTOR = 10


Cheap = Rows | Count | LookUp
"""What may cost far less than BigQuery estimates."""

CHEAP_FACTOR = 50
"""How many times the limit of its purpose a cheap read may bill, by BigQuery's estimate, which ignores clustering.

At 100,000 records/s of 1 KB, the estimate of a read of seconds is 380 GiB: its hour. It bounds what a read costs if its
rows are not clustered: those that were just written lie in `__UNPARTITIONED__`, for a time that Google does not promise
(https://cloud.google.com/bigquery/docs/partitioned-tables#ingestion_time).
"""
_SHORT_US = 2 * MINUTE_US
_DISTRUST_US = HOUR_US


def is_short(query: Query | Deletion) -> TypeGuard[Cheap]:
    """Return whether a query reads so little time that it should read little, on a table clustered by time."""
    match query:
        case State():
            return False
        case Rows() | Count() if query.purpose == "page":
            return query.within.length_us <= _SHORT_US
        case _:
            return False


class Trust:
    """Remembers which queries read far more than their limit although they should have been cheap.

    Such queries have a limit many times as high, or none, because BigQuery would compare it with an estimate that
    ignores clustering (https://cloud.google.com/bigquery/docs/clustered-tables). One that disappoints shows that its
    rows are not clustered. For an hour, queries of that table and purpose then have the usual limit.
    """

    def __init__(self, limit_of: Callable[[Purpose], int], clock: Clock) -> None:
        """`limit_of` returns how much a query of a purpose should read at most."""
        self._limit_of, self._clock = limit_of, clock
        self._until_us: dict[tuple[str, Purpose], int] = {}

    def covers(self, query: Cheap) -> bool:
        """Return whether `query` may go without the usual limit, if it should be cheap."""
        return self._clock.elapsed_us() >= self._until_us.get((query.table, query.purpose), 0)

    def note(self, query: Cheap, billed: int | None) -> None:
        """Record what a query without the usual limit read: twice that limit is too much.

        The rows that are not clustered yet, and the look-back, may come to the limit at 100,000 records/s.
        """
        if billed is not None and billed > 2 * self._limit_of(query.purpose):
            self._until_us[query.table, query.purpose] = self._clock.elapsed_us() + _DISTRUST_US


def max_bytes_billed(purpose: Purpose, settings: Settings) -> int:
    """Return how much a query may read; an export has the limit of a page.

    An erasure and a backfill have that of a look-up by id.
    """
    return (
        settings.query.look_up_max_bytes_billed
        if purpose in {"look_up", "erase", "backfill"}
        else settings.query.query_max_bytes_billed
    )


def limit_bytes(statement: Statement, settings: Settings) -> int | None:
    """Return how much a statement may bill by BigQuery's estimate; None, without limit, for a cheap look-up.

    The estimate of a look-up by an index is that of a read of the whole table.
    """
    limit = max_bytes_billed(statement.purpose, settings)
    if not statement.is_cheap:
        return limit
    return None if statement.purpose == "look_up" else CHEAP_FACTOR * limit


def timeout_s(purpose: Purpose, settings: Settings) -> float:
    """Return how long a query may take."""
    return settings.query.query_timeout_s * (_LONG_TIMEOUT_FACTOR if purpose in _LONG else 1)


def job_configuration(statement: Statement, place: TableAddress, settings: Settings) -> dict[str, Any]:
    """Return the configuration of the job of `statement`, with all its guards.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfiguration
    """
    limit = limit_bytes(statement, settings)
    query = {
        "query": statement.sql,
        "defaultDataset": {"projectId": place.project, "datasetId": place.dataset},
        "useLegacySql": False,
        # Free, and never stale: BigQuery caches no result of a table that changed or is being streamed to.
        "useQueryCache": True,
        "parameterMode": "NAMED",
        "queryParameters": [_parameter(name, value) for name, value in statement.parameters.items()],
    }
    return {
        "query": query if limit is None else query | {"maximumBytesBilled": str(limit)},
        "labels": {"service": "sluice", "purpose": statement.purpose},
        "jobTimeoutMs": str(round(timeout_s(statement.purpose, settings) * 1000)),
    }


_TYPES: dict[type, tuple[str, Callable[[Any], str]]] = {
    bool: ("BOOL", lambda value: str(value).lower()),
    int: ("INT64", str),
    float: ("FLOAT64", str),
    Decimal: ("NUMERIC", str),
    date: ("DATE", date.isoformat),
    time: ("TIME", time.isoformat),
    bytes: ("BYTES", lambda value: b64encode(value).decode()),
    str: ("STRING", str),
}


def _parameter(name: str, value: Scalar) -> dict[str, Any]:
    type_, text_of = _TYPES[type(value)]
    if type_ == "INT64" and name.endswith("_us"):
        type_, text_of = "TIMESTAMP", lambda instant_us: from_epoch_us(instant_us).isoformat(sep=" ")
    return {"name": name, "parameterType": {"type": type_}, "parameterValue": {"value": text_of(value)}}


_FIRST_ANSWER_MS = 2_000
_HTTP_TIMEOUT_S = 20.0  # of one call; jobs.getQueryResults waits 10 s by itself
_RETRY_S = 5.0
_CANCEL_TIMEOUT_S = 5.0
_json = msgspec.json.Encoder()
_log = logging.getLogger("sluice.query")


class GivenUpError(Exception):
    """The query was abandoned by its caller."""


class Job:
    """One query in BigQuery, run by one thread; another may abandon it.

    What runs it blocks, and raises what the client library raises, or GivenUpError once it was abandoned.
    """

    def __init__(self, statement: Statement, place: TableAddress, settings: Settings) -> None:
        self.statement, self._place = statement, place
        self._configuration = job_configuration(statement, place, settings)
        self._running: Mapping[str, Any] | None = None
        self._is_abandoned = self._is_shared = False
        self.client: Client
        """Set by the thread that runs it; it also cancels the job, since a new client may take seconds to make."""

    def rows(self) -> Answer:
        """Return the rows of the result, up to the `max_bytes` of the statement.

        If the first call breaks off, its outcome is unknown; it is repeated, so at worst the query is read twice.
        """
        answer = self._finished(self._call("POST", "queries", self._request()))
        return self._decoded(answer, _bytes_processed(answer))

    def kept_rows(
        self, names: Sequence[str], after: Position | None, limit: int | None, guess: int
    ) -> tuple[Answer, int]:
        """Return the next rows `after` a position in a result that is kept for a day, and the index of the first.

        The result is that of one job for all callers of the same statement and the same of `names`, the first that was
        not cancelled. `guess`: the index that was returned, plus the number of rows up to `after`.
        """
        self._is_shared = True
        for name in names:
            reference, is_new = self._insert(self._kept_name(name))
            try:
                result = self._finished({"jobReference": reference}, maxResults=0)
                start = 0 if after is None else self._index_after(after, reference, int(result["totalRows"]), guess)
                answer = self._results(reference, startIndex=start, maxResults=limit)
            except GoogleAPICallError as error:
                is_lost = error.code == 404 and not is_new  # its result
                if name == names[-1] or not (is_lost or _is_cancelled(error)):
                    raise
            else:
                break
        return self._decoded(answer, _bytes_processed(result) if is_new else 0, limit), start

    def _index_after(self, position: Position, job: Mapping[str, Any], total: int, guess: int) -> int:
        """Return how many rows of a result there are up to `position`: `guess`, if that is right."""

        def position_at(index: int) -> Position:
            answer = self._results(job, startIndex=index, maxResults=1)
            row = row_decoder(answer["schema"]["fields"])(answer["rows"][0])
            return Position(epoch_us(row["ingest_time"]), row["delivery_key"])

        is_right = 0 < guess <= total and position_at(guess - 1) == position
        return guess if is_right else bisect_right(range(total), position, key=position_at)

    def _kept_name(self, name: str) -> str:
        """Return a name for the job that differs if anything does on which its result depends."""
        text = _json.encode((name, self._place.dataset, self._configuration))
        return f"sluice_{self.statement.purpose}_{sha256(text).hexdigest()}"

    def _decoded(self, answer: dict[str, Any], processed: int | None, limit: int | None = None) -> Answer:
        """Return the rows of a result from `answer` on, up to a number and the `max_bytes` of the statement."""
        decode, reference = row_decoder(answer["schema"].get("fields", ())), answer.get("jobReference", {})
        rows: list[Row] = []
        total_bytes, max_bytes, is_cut = 0, self.statement.max_bytes, False
        while True:  # a page has 10 MB at most
            for row in answer.get("rows", ()):
                if max_bytes is not None:
                    row_bytes = len(str(row))
                    if is_cut := bool(rows) and total_bytes + row_bytes > max_bytes:
                        break
                    total_bytes += row_bytes
                rows.append(decode(row))
            if is_cut or len(rows) == limit or not answer.get("pageToken"):
                return Answer(rows, processed, total_bytes, is_cut)
            most = None if limit is None else limit - len(rows)
            answer = self._results(reference, pageToken=answer["pageToken"], maxResults=most)

    def estimated_bytes(self) -> int | None:
        """Return how many bytes the query would read, at most."""
        return _bytes_processed(self._call("POST", "queries", self._request() | {"dryRun": True}))

    def table(self) -> tuple[str, int | None]:
        """Return the path of the temporary table of the result, and the bytes that the query read."""
        answer = self._inserted()
        reference = answer["jobReference"]
        job = self._call("GET", f"jobs/{reference['jobId']}", location=reference.get("location"))
        table = job["configuration"]["query"]["destinationTable"]
        path = f"projects/{table['projectId']}/datasets/{table['datasetId']}/tables/{table['tableId']}"
        return path, _bytes_processed(answer)

    def changes(self) -> int:
        """Return how many rows a DELETE removed."""
        return int(self._inserted().get("numDmlAffectedRows") or 0)

    def abandon(self) -> bool:
        """Prevent any further call; return whether there is a job to `cancel`, which has no other callers."""
        self._is_abandoned = True
        return self._running is not None and not self._is_shared

    def cancel(self) -> None:
        """Tell BigQuery to stop the job. A failure is only logged: the job has its own timeout."""
        job = self._running
        if job is None:  # it has just ended
            return
        path, place = f"jobs/{job['jobId']}/cancel", {"location": job.get("location")}
        try:
            self._request_once("POST", path, None, place, _CANCEL_TIMEOUT_S)
        except Exception as error:  # any failure: see above
            _log.warning("cannot cancel the job %s: %s", job["jobId"], first_line(error))

    def _request(self) -> dict[str, Any]:
        return {
            **self._configuration["query"],
            "labels": self._configuration["labels"],
            "jobTimeoutMs": self._configuration["jobTimeoutMs"],
            "location": self._place.location,
            "timeoutMs": _FIRST_ANSWER_MS,
            "jobCreationMode": "JOB_CREATION_OPTIONAL",
            "formatOptions": {"useInt64Timestamp": True},
        }

    def _inserted(self) -> dict[str, Any]:
        """Run the statement to its end, as a job named by us, which never runs twice."""
        reference, _ = self._insert(f"sluice_{self.statement.purpose}_{uuid.uuid4()}")
        return self._finished({"jobReference": reference}, maxResults=0)

    def _insert(self, job_id: str) -> tuple[Mapping[str, Any], bool]:
        """Start the job, unless there is one of this name; return its reference, and whether it is new."""
        reference = {"projectId": self._place.project, "jobId": job_id, "location": self._place.location}
        self._running = reference
        body = {"jobReference": reference, "configuration": self._configuration}
        try:
            self._running = reference = self._call("POST", "jobs", body)["jobReference"]  # says where it runs
        except Conflict:  # an attempt whose answer was lost has started it, or another caller
            _log.debug("the job %s was started before", job_id)
            if self._place.location is None:  # a job cannot be found without it
                reference["location"] = self._call("GET", f"datasets/{self._place.dataset}")["location"]
            return reference, False
        return reference, True

    def _finished(self, answer: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        while not answer.get("jobComplete"):
            answer = self._results(answer["jobReference"], **parameters)
        self._running = None
        return answer

    def _results(self, job: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
        parameters |= {"location": job.get("location"), "formatOptions.useInt64Timestamp": True}
        return self._call("GET", f"queries/{job['jobId']}", **parameters)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            self._check()
            return self._request_once(method, path, body, parameters, _HTTP_TIMEOUT_S)

        retry = Retry(predicate=_is_transient, initial=0.1, maximum=1.0, multiplier=2.0, timeout=_RETRY_S)
        answer = retry(once)()
        if answer.get("jobComplete") is False and "jobId" in answer["jobReference"]:  # a dry run has none
            is_new, self._running = self._running is None, answer["jobReference"]
            if is_new and self._is_abandoned:
                self.cancel()
        self._check()
        return answer

    def _check(self) -> None:
        if self._is_abandoned:
            raise GivenUpError

    def _request_once(
        self, method: str, path: str, body: Any, parameters: Mapping[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self.client._connection.api_request(  # type: ignore[no-untyped-call] # noqa: SLF001 - the library has no calls of these methods that can be abandoned
            method=method,
            path=f"/projects/{self._place.project}/{path}",
            data=body,
            query_params={name: value for name, value in parameters.items() if value is not None},
            timeout=timeout_s,
        )
        return answer


def _bytes_processed(answer: Mapping[str, Any]) -> int | None:
    text = answer.get("totalBytesProcessed")
    return None if text is None else int(text)


def _is_cancelled(failure: GoogleAPICallError) -> bool:
    """Return whether a job was cancelled, and not by its own timeout."""
    return reason_of(failure) == "stopped" and "timed out" not in str(failure)


def _is_transient(failure: BaseException) -> bool:
    if isinstance(failure, ConnectionError | ChunkedEncodingError):
        return True
    if not isinstance(failure, GoogleAPICallError):
        return False
    return failure.code in {500, 502, 503} and reason_of(failure) in {"", "backendError", "internalError", "badGateway"}


_Decode = Callable[[Any], Any]


def row_decoder(fields: Sequence[Mapping[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that turns a row of an answer into values by column name, by the fields of its schema.

    Raises:
        ValueError: a column's type has no value that a QueryRunner could promise.
    """
    columns = [(field["name"], _decoder(field)) for field in fields]

    def decode(row: dict[str, Any]) -> dict[str, Any]:
        return {name: decode_cell(cell["v"]) for (name, decode_cell), cell in zip(columns, row["f"], strict=True)}

    return decode


def _decoder(field: Mapping[str, Any]) -> _Decode:
    kind = field["type"].upper()
    if kind in {"RECORD", "STRUCT"}:
        item: _Decode = row_decoder(field["fields"])
    elif kind in _SCALARS:
        item = _SCALARS[kind]
    else:
        raise ValueError(f"the column {field['name']} has the type {kind}, which no record type declares")
    if field.get("mode") == "REPEATED":
        return lambda values: [item(value["v"]) for value in values or ()]  # a NULL list was stored as an empty one
    return lambda value: None if value is None else item(value)


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
