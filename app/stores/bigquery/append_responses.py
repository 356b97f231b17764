"""Turn the Storage Write API's answers into Outcomes: one response, or the end of a stream. Pure.

Codes are those of google.rpc.Code; their meaning for AppendRows is described at
https://cloud.google.com/bigquery/docs/write-api-best-practices and in the StorageError message.
"""

import re
from typing import Any

import msgspec
from google.cloud.bigquery_storage_v1 import types
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

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
