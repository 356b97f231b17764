"""What the Storage Write API's answers mean: one response, or the end of a stream, as Outcomes. Pure.

Codes are those of google.rpc.Code; what each means for AppendRows is described at
https://cloud.google.com/bigquery/docs/write-api-best-practices and in the StorageError message.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from google.cloud.bigquery_storage_v1 import types
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.ingest.appender import (
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
_TOO_LARGE = ("request too large", "larger than max")
_MAX_DETAIL = 500


class StreamEnd(msgspec.Struct, frozen=True):
    """How a stream ended: the status, OK too when the server just closed it."""

    code: int
    detail: str
    storage_errors: frozenset[int] = frozenset()

    @classmethod
    def of_status(cls, status: Status) -> "StreamEnd":
        """Return what a google.rpc.Status says, with the StorageErrors among its details."""
        found = set()
        for detail in status.details:
            error = _StorageError()
            if detail.Is(_StorageError.DESCRIPTOR) and detail.Unpack(error):
                found.add(error.code)
        return cls(status.code, status.message[:_MAX_DETAIL], frozenset(found))


def outcome_of_response(response: Any) -> Outcome:
    """Say what an AppendRowsResponse (the protobuf message) means for its request."""
    if response.row_errors:
        return RowsRefused({error.index: RowError(error.message[:_MAX_DETAIL]) for error in response.row_errors})
    if response.HasField("error") and response.error.code:
        return outcome_of_error(StreamEnd.of_status(response.error))
    return Stored()


def outcomes_of_end(end: StreamEnd, sizes: Sequence[int]) -> list[Outcome]:
    """Say what the end of a stream means for the requests in flight, of these byte sizes, oldest first.

    A status that speaks of one request is the oldest one's, or the largest one's where it speaks of size; the
    others may or may not have been stored.
    """
    outcome = outcome_of_error(end)
    match outcome:
        case SetupError() | QuotaExceeded() | Uncertain():
            return [outcome] * len(sizes)
        case _:
            guilty = max(range(len(sizes)), key=sizes.__getitem__, default=0) if isinstance(outcome, TooLarge) else 0
            bystander = Uncertain(f"the stream ended: {end.detail}")
            return [outcome if position == guilty else bystander for position in range(len(sizes))]


def outcome_of_error(end: StreamEnd) -> Outcome:
    """Say what a status means for the request it answers."""
    detail = f"{Code.Name(end.code)}: {end.detail}" if end.code in Code.values() else end.detail
    text = end.detail.lower()
    if end.code in {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED} and any(words in text for words in _TOO_LARGE):
        return TooLarge(detail)
    if end.code == Code.NOT_FOUND or end.storage_errors & _TABLE_MISSING:
        return SetupError(SinkState.NOT_FOUND, detail)
    if end.code in {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED} or end.storage_errors & _KEY_PROBLEMS:
        return SetupError(SinkState.PERMISSION_DENIED, detail)
    if end.code == Code.RESOURCE_EXHAUSTED:
        return QuotaExceeded(detail)
    if end.code == Code.INVALID_ARGUMENT:
        # A schema that does not fit is no row's fault: without this every row would end among the rejects.
        about_schema = _StorageError.SCHEMA_MISMATCH_EXTRA_FIELDS in end.storage_errors or "schema" in text
        return SetupError(SinkState.SCHEMA_MISMATCH, detail) if about_schema else RowsRefused({})
    return Uncertain(detail)
