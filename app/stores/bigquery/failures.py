"""What BigQuery's answers mean: failures of its REST API, and the responses and ends of Storage Write streams. Pure.

A failure of the REST API has a meaning for whoever runs a query, and for whoever checks a table:

google.api_core.GoogleAPICallError   BigQuery answered with an error: by its reason, else by its status
    RetryError                       it kept failing: by the last failure
requests, google.auth                no answer at all
TimeoutError                         the client gave up waiting

Reasons and statuses: https://cloud.google.com/bigquery/docs/error-messages. Any other failure of a query, above all
`invalidQuery`, is a defect of ours, unless the table lacks a column of the record type.

The codes of Storage Write are those of google.rpc.Code; their meaning for AppendRows is described at
https://cloud.google.com/bigquery/docs/write-api-best-practices and in the StorageError message.
"""

import enum
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.bigquery_storage_v1 import types
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from requests.exceptions import RequestException

from app.stores.bigquery.client import AccessError, TableAddress
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)
from app.stores.source import (
    OutdatedColumnsError,
    QueryError,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
    StoreUnavailableError,
)

_MAX_QUOTED_CHARS = 500
_NEEDED = re.compile(r"bytes billed: \d+\. (\d+) or higher required")
# BigQuery's words if a table, or a STRUCT in it, lacks a column that the query names, or has one that the query adds.
_NO_SUCH_COLUMN = re.compile(
    r"unrecognized name: |name \S+ not found inside |no such (struct )?field|field name \S+ does not exist in struct"
    r"|column name \S+ is ambiguous|column \S+ in (select \* )?replace list",
    re.IGNORECASE,
)
_NO_SUCH_PLACE = re.compile(r"invalid (dataset|project|table)\b", re.IGNORECASE)
_TOO_EXPENSIVE = {"bytesBilledLimitExceeded", "billingTierLimitExceeded", "resourcesExceeded"}
_BUSY = {"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "userRateLimitExceeded"}
_UNAVAILABLE = {
    "backendError",
    "billingNotEnabled",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "stopped",  # by another client
    "tableUnavailable",
}
_ADVICE = {
    SinkState.PERMISSION_DENIED: "the service needs roles/bigquery.dataEditor on the dataset",
    SinkState.NOT_FOUND: "create it with `terraform apply`, or check SLUICE_BIGQUERY_PROJECT and "
    "SLUICE_BIGQUERY_DATASET",
    SinkState.UNREACHABLE: "SLUICE_BIGQUERY_REST_URL",
}


class _Kind(enum.Enum):
    """What a failure is about; each of those with a sink state bars queries and appends alike."""

    TIMEOUT = enum.auto()
    TOO_EXPENSIVE = enum.auto()
    OUTDATED = enum.auto()
    DEFECT = enum.auto()
    BUSY = SinkState.QUOTA_EXHAUSTED
    NO_ACCESS = SinkState.PERMISSION_DENIED
    NOT_FOUND = SinkState.NOT_FOUND
    UNREACHABLE = SinkState.UNREACHABLE


def query_error(failure: Exception, place: TableAddress, *, limit_bytes: int, timeout_s: float) -> QueryError | None:
    """Return the QueryError for `failure`, or None if it is a defect of the query."""
    if isinstance(failure, RetryError) and isinstance(failure.cause, Exception):
        failure = failure.cause
    message = f"BigQuery at {place.rest_url}, for {place.project}.{place.dataset}, {_words(failure)}"
    match _kind(failure):
        case _Kind.TIMEOUT:
            return QueryTimeoutError(timeout_s)
        case _Kind.TOO_EXPENSIVE:
            needed = _NEEDED.search(str(failure))
            return QueryTooExpensiveError(limit_bytes, int(needed[1]) if needed else None)
        case _Kind.BUSY:
            return StoreBusyError(message)
        case _Kind.OUTDATED:
            return OutdatedColumnsError(f"the table does not fit the record type: {message}")
        case _Kind.DEFECT:
            return None
        case _:
            return StoreUnavailableError(message)


def setup_error(failure: Exception, place: TableAddress, table: str) -> SetupError:
    """Return the set-up error for a failed check of `table`, with a detail of one line."""
    kind = _kind(failure)
    state = kind.value if isinstance(kind.value, SinkState) else SinkState.UNREACHABLE
    advice = f" ({_ADVICE[state]})" if state in _ADVICE and not isinstance(failure, AccessError) else ""
    return SetupError(state, f"{place.table_id(table)} cannot be checked: {place.rest_url} {_words(failure)}{advice}")


def is_table_missing(failure: Exception) -> bool:
    """Return whether BigQuery answered that it has the dataset but not the table."""
    return isinstance(failure, NotFound) and "not found: table" in _words(failure).lower()


def reason_of(failure: Exception) -> str:
    """Return BigQuery's reason for a failed call; "" if it gave none."""
    return next((str(each["reason"]) for each in _errors(failure) if "reason" in each), "")


def _kind(failure: Exception) -> _Kind:
    match failure:
        case TimeoutError():
            return _Kind.TIMEOUT
        case GoogleAuthError():
            is_cut_off = failure.retryable or any(isinstance(each, TransportError) for each in _chain(failure))
            return _Kind.UNREACHABLE if is_cut_off else _Kind.NO_ACCESS
        case AccessError():
            return _Kind.NO_ACCESS
        case RequestException() | ConnectionError():
            return _Kind.UNREACHABLE
        case GoogleAPICallError():
            return _answered(reason_of(failure), int(failure.code or 0), str(failure.message))
        case _:
            return _Kind.DEFECT


def _answered(reason: str, status: int, text: str) -> _Kind:
    kind = _Kind.DEFECT
    if reason in _TOO_EXPENSIVE or _NEEDED.search(text):
        kind = _Kind.TOO_EXPENSIVE
    elif reason == "timeout" or status == 504 or "timed out" in text:
        kind = _Kind.TIMEOUT
    elif reason in _BUSY or status == 429:
        kind = _Kind.BUSY
    elif reason == "invalidQuery" and _NO_SUCH_COLUMN.search(text):
        kind = _Kind.OUTDATED
    elif status in {401, 403}:
        kind = _Kind.NO_ACCESS
    elif status == 404 or _NO_SUCH_PLACE.search(text):
        kind = _Kind.NOT_FOUND
    elif reason in _UNAVAILABLE or status >= 500:
        kind = _Kind.UNREACHABLE
    return kind


def _errors(failure: Exception) -> Iterator[dict[str, object]]:
    return (each for each in getattr(failure, "errors", None) or () if isinstance(each, dict))


def _words(failure: Exception) -> str:
    """Say in one line what BigQuery answered, without the client's preface, or why there is no answer."""
    *_, root = _chain(failure)  # libraries wrap a refused connection three times
    match failure, root:
        case GoogleAPICallError(), _:
            own = next((each["message"] for each in _errors(failure) if each.get("message")), None)
            message = own or failure.message.partition("prettyPrint=false: ")[2] or failure.message
            text = f"answered {failure.code} {reason_of(failure)}: {message}"
        case ((AccessError() | GoogleAuthError()), _):
            text = f"cannot be asked without a token: {failure}"
        case _, TimeoutError():
            text = "does not answer in time"
        case _, OSError():
            text = f"cannot be reached: {root.strerror or root}"
        case _:
            text = f"does not answer like BigQuery: {type(root).__name__}: {root}"
    line = " ".join(text.split())
    return line if len(line) <= _MAX_QUOTED_CHARS else f"{line[:_MAX_QUOTED_CHARS]}…"


def _chain(failure: Exception) -> Iterator[Exception]:
    link: BaseException | None = failure
    while isinstance(link, Exception):
        yield link
        link = link.__cause__ or link.__context__


_StorageError: Any = types.StorageError.pb()
_TABLE_MISSING = {_StorageError.TABLE_NOT_FOUND, _StorageError.STREAM_NOT_FOUND}
_KEY_PROBLEMS = {
    _StorageError.CMEK_NOT_PROVIDED,
    _StorageError.INVALID_CMEK_PROVIDED,
    _StorageError.KMS_PERMISSION_DENIED,
}
# "AppendRows request too large: 11854265 limit 10485760" from the service; the other from gRPC's own limits.
_TOO_LARGE = re.compile(r"^AppendRows request too large|\b(Received|Sent) message larger than max \(", re.IGNORECASE)
# About the request's schema, not a row's value.
_SCHEMA = re.compile(r"^(Input schema has more fields|Invalid proto schema)", re.IGNORECASE)
_MAX_DETAIL = 500


class StreamEnd(msgspec.Struct, frozen=True):
    """How a stream ended: the status, which is also OK if the server just closed it."""

    code: int
    detail: str
    storage_errors: frozenset[int] = frozenset()

    @classmethod
    def of_status(cls, status: Status) -> "StreamEnd":
        """Return the end that a google.rpc.Status describes, with the StorageErrors among its details."""
        codes = set()
        for detail in status.details:
            error = _StorageError()
            if detail.Is(_StorageError.DESCRIPTOR) and detail.Unpack(error):
                codes.add(error.code)
        return cls(status.code, status.message[:_MAX_DETAIL], frozenset(codes))


def outcome_of_response(response: Any) -> Outcome:
    """Return the outcome of a request from its AppendRowsResponse (the protobuf message)."""
    if response.row_errors:
        listed = {error.index: RowError(error.message[:_MAX_DETAIL]) for error in response.row_errors}
        return RowsRefused(listed, response.error.message[:_MAX_DETAIL])
    if response.HasField("error") and response.error.code:
        return outcome_of_error(StreamEnd.of_status(response.error))
    return Stored()


def answers_a_request(response: Any) -> bool:
    """Return whether a response gives the outcome of a request: stored, or an error."""
    return bool(response.row_errors) or response.HasField("append_result") or response.HasField("error")


def speaks_of_one(outcome: Outcome) -> bool:
    """Return whether an outcome, at the end of a stream, is about one of the requests in flight and not all."""
    return isinstance(outcome, RowsRefused | TooLarge)


def outcomes_of_end(end: StreamEnd, in_flight: int) -> list[Outcome]:
    """Return the outcome of each request in flight at the end of a stream.

    A status about one request is believed only if just one is in flight. With several, it may be about any of them,
    and each of the others may have been stored.
    """
    outcome = outcome_of_error(end)
    if speaks_of_one(outcome) and in_flight > 1:
        outcome = Uncertain(f"the stream, with {in_flight} requests in flight, ended: {end.detail}")
    return [outcome] * in_flight


def outcome_of_error(end: StreamEnd) -> Outcome:
    """Return the outcome of the request that a status answers."""
    detail = f"{Code.Name(end.code)}: {end.detail}" if end.code in Code.values() else end.detail
    if end.code in {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED} and _TOO_LARGE.search(end.detail):
        return TooLarge(detail)
    if end.code == Code.NOT_FOUND or end.storage_errors & _TABLE_MISSING:
        return SetupError(SinkState.NOT_FOUND, detail)
    if end.code in {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED} or end.storage_errors & _KEY_PROBLEMS:
        return SetupError(SinkState.PERMISSION_DENIED, detail)
    if end.code == Code.RESOURCE_EXHAUSTED:
        return QuotaExceeded(detail)
    if end.code == Code.INVALID_ARGUMENT:
        # A schema mismatch is no row's fault; without this check, every row would be rejected.
        about_schema = _StorageError.SCHEMA_MISMATCH_EXTRA_FIELDS in end.storage_errors or _SCHEMA.search(end.detail)
        return SetupError(SinkState.SCHEMA_MISMATCH, detail) if about_schema else RowsRefused({}, detail)
    return Uncertain(detail)
