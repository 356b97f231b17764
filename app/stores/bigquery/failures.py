"""Map the failures of BigQuery's client to QueryErrors.

google.api_core.GoogleAPICallError   BigQuery answered with an error: by its reason, else by its status
    RetryError                       it kept failing: by the last failure
requests, google.auth                no answer at all: StoreUnavailableError
TimeoutError                         the client gave up waiting: QueryTimeoutError

Reasons and statuses: https://cloud.google.com/bigquery/docs/error-messages. Any other failure, above
all `invalidQuery`, is a defect of ours and no QueryError, unless the table lacks a column of the record type.
"""

import re

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from requests.exceptions import RequestException

from app.stores.bigquery.client import AccessError, TableAddress
from app.stores.source import (
    OutdatedColumnsError,
    QueryError,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
    StoreUnavailableError,
)
from app.telemetry.redaction import first_line

_MAX_QUOTED_CHARS = 500
_NEEDED = re.compile(r"bytes billed: \d+\. (\d+) or higher required")
# BigQuery's words if a table, or a STRUCT in it, lacks a column that the query names, or has one that the query adds.
_NO_SUCH_COLUMN = re.compile(
    r"unrecognized name: |name \S+ not found inside |no such (struct )?field|field name \S+ does not exist in struct"
    r"|column name \S+ is ambiguous",
    re.IGNORECASE,
)
_NO_SUCH_PLACE = re.compile(r"invalid (dataset|project|table)\b", re.IGNORECASE)
_TOO_EXPENSIVE = {"bytesBilledLimitExceeded", "billingTierLimitExceeded", "resourcesExceeded"}
_BUSY = {"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "userRateLimitExceeded"}
_UNAVAILABLE = {
    "accessDenied",
    "backendError",
    "billingNotEnabled",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "notFound",
    "tableUnavailable",
}


def query_error(failure: Exception, place: TableAddress, *, limit_bytes: int, timeout_s: float) -> QueryError | None:
    """Return the QueryError for `failure`, or None if it is a defect of the query."""
    if isinstance(failure, RetryError) and isinstance(failure.cause, Exception):
        failure = failure.cause
    match failure:
        case TimeoutError():
            error: QueryError | None = QueryTimeoutError(timeout_s)
        case AccessError():
            error = StoreUnavailableError(str(failure))
        case GoogleAuthError():
            error = StoreUnavailableError(f"BigQuery refuses the Google credentials: {_quoted(failure)}")
        case RequestException() | ConnectionError():
            error = StoreUnavailableError(f"BigQuery cannot be reached at {place.rest_url}: {_quoted(failure)}")
        case GoogleAPICallError():
            error = _answered(failure, place, limit_bytes=limit_bytes, timeout_s=timeout_s)
        case _:
            error = None
    return error


def reason_of(failure: Exception) -> str:
    """Return BigQuery's reason for a failed call; "" if it gave none."""
    errors = getattr(failure, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], dict) else ""


def _answered(
    failure: GoogleAPICallError, place: TableAddress, *, limit_bytes: int, timeout_s: float
) -> QueryError | None:
    reason, status = reason_of(failure), int(failure.code or 0)
    message = f"BigQuery answered {status} {reason} for {place.project}.{place.dataset}: {_quoted(failure)}"
    needed = _NEEDED.search(str(failure.message))
    if reason in _TOO_EXPENSIVE or needed:
        return QueryTooExpensiveError(limit_bytes, int(needed[1]) if needed else None)
    if reason == "timeout" or status == 504 or "timed out" in str(failure.message):
        return QueryTimeoutError(timeout_s)
    if reason in _BUSY or status == 429:
        return StoreBusyError(message)
    return _unavailable(reason, status, str(failure.message), message)


def _unavailable(reason: str, status: int, text: str, message: str) -> StoreUnavailableError | None:
    if reason == "stopped":
        return StoreUnavailableError(f"{message} (the job was cancelled by another client)")
    if reason == "invalidQuery" and _NO_SUCH_COLUMN.search(text):
        return OutdatedColumnsError(f"the table does not fit the record type: {message}")
    if reason in _UNAVAILABLE or status in {401, 403, 404} or status >= 500:
        return StoreUnavailableError(message)
    if reason == "invalid" and _NO_SUCH_PLACE.search(text):
        return StoreUnavailableError(message)
    return None


def _quoted(failure: Exception) -> str:
    text = failure.message if isinstance(failure, GoogleAPICallError) else str(failure)
    return first_line(str(text).strip())[:_MAX_QUOTED_CHARS]
