"""What the server says, in BigQuery's types."""

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, status_pb2

from sluice.testing.misbehaving.faults import EndStream, Listing, Refuse

Request = types.AppendRowsRequest.pb()
Response = types.AppendRowsResponse.pb()
_StorageError = types.StorageError.pb()
_StatusDetails = tuple[tuple[str, bytes], ...]


def acknowledged(write_stream: str) -> Any:
    """Return the answer to an append whose rows are stored."""
    return Response(write_stream=write_stream, append_result={})


def refused(write_stream: str, answer: Refuse) -> Any:
    """Return the answer to an append that is refused as a whole, on a stream that goes on."""
    return Response(write_stream=write_stream, error=_status(answer.code, answer.message, answer.storage_error))


def rows_refused(write_stream: str, bad: Iterable[int], count: int, listing: Listing) -> Any:
    """Return the answer to an append of `count` rows of which those at `bad` cannot be stored."""
    first, *others = bad
    listed = {
        "complete": [first, *others],
        "incomplete": [first],
        "empty": [],
        "out of range": [count, count + 7],
    }[listing]
    answer = Response(
        write_stream=write_stream, error=_status("INVALID_ARGUMENT", "Errors found while processing rows")
    )
    for index in listed:
        answer.row_errors.add(index=index, code="FIELDS_ERROR", message=f"row {index} cannot be stored")
    return answer


def columns_unknown(write_stream: str, unknown: Mapping[int, str]) -> Any:
    """Return the answer to an append whose rows at these positions use a column that the table lacks."""
    answer = Response(write_stream=write_stream, error=_status("INVALID_ARGUMENT", "Rows are invalid"))
    for index, name in unknown.items():
        answer.row_errors.add(index=index, code="FIELDS_ERROR", message=f"no such field: {name}.")
    return answer


def ending(end: EndStream) -> tuple[grpc.StatusCode, str, _StatusDetails]:
    """Return the status that ends a stream: code, message and trailing metadata."""
    code = grpc.StatusCode[end.code]
    if end.storage_error is None:
        return code, end.message, ()
    status = _status(end.code, end.message, end.storage_error)
    return code, end.message, (("grpc-status-details-bin", status.SerializeToString()),)


def _status(code: str, message: str, storage_error: str | None = None) -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    if storage_error is not None:
        details = AnyMessage()
        details.Pack(_StorageError(code=storage_error, error_message=message))
        status.details.append(details)
    return status
