"""What the Storage Write API's answers mean."""

from typing import Any

import pytest
from google.cloud.bigquery_storage_v1 import types
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.stores.bigquery.append_responses import (
    StreamEnd,
    answers_a_request,
    outcome_of_error,
    outcome_of_response,
    outcomes_of_end,
)
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

Response: Any = types.AppendRowsResponse.pb()
StorageError: Any = types.StorageError.pb()


def status(code: int, message: str = "m", storage_error: int | None = None) -> Status:
    """Return a status, with a StorageError among its details when one is named."""
    made = Status(code=code, message=message)
    if storage_error is not None:
        made.details.add().Pack(StorageError(code=storage_error))
    return made


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (status(Code.NOT_FOUND), SetupError(SinkState.NOT_FOUND, "NOT_FOUND: m")),
        (status(Code.PERMISSION_DENIED), SetupError(SinkState.PERMISSION_DENIED, "PERMISSION_DENIED: m")),
        (status(Code.UNAUTHENTICATED), SetupError(SinkState.PERMISSION_DENIED, "UNAUTHENTICATED: m")),
        (
            status(Code.FAILED_PRECONDITION, "m", StorageError.KMS_PERMISSION_DENIED),
            SetupError(SinkState.PERMISSION_DENIED, "FAILED_PRECONDITION: m"),
        ),
        (
            status(Code.INVALID_ARGUMENT, "m", StorageError.SCHEMA_MISMATCH_EXTRA_FIELDS),
            SetupError(SinkState.SCHEMA_MISMATCH, "INVALID_ARGUMENT: m"),
        ),
        (
            status(Code.INVALID_ARGUMENT, "Input schema has more fields than BigQuery schema"),
            SetupError(
                SinkState.SCHEMA_MISMATCH, "INVALID_ARGUMENT: Input schema has more fields than BigQuery schema"
            ),
        ),
        (
            status(Code.INVALID_ARGUMENT, "m", StorageError.TABLE_NOT_FOUND),
            SetupError(SinkState.NOT_FOUND, "INVALID_ARGUMENT: m"),
        ),
        (status(Code.INVALID_ARGUMENT), RowsRefused({}, "INVALID_ARGUMENT: m")),
        (
            status(Code.INVALID_ARGUMENT, 'value {"schema": 1} cannot be converted, larger than max'),
            RowsRefused({}, 'INVALID_ARGUMENT: value {"schema": 1} cannot be converted, larger than max'),
        ),
        (
            status(Code.INVALID_ARGUMENT, "AppendRows request too large: 11854265 limit 10485760"),
            TooLarge("INVALID_ARGUMENT: AppendRows request too large: 11854265 limit 10485760"),
        ),
        (
            status(Code.RESOURCE_EXHAUSTED, "Received message larger than max (9000000 vs. 4194304)"),
            TooLarge("RESOURCE_EXHAUSTED: Received message larger than max (9000000 vs. 4194304)"),
        ),
        (status(Code.RESOURCE_EXHAUSTED), QuotaExceeded("RESOURCE_EXHAUSTED: m")),
        *[
            (status(code), Uncertain(f"{Code.Name(code)}: m"))
            for code in (
                Code.UNAVAILABLE,
                Code.ABORTED,
                Code.INTERNAL,
                Code.DEADLINE_EXCEEDED,
                Code.CANCELLED,
                Code.UNKNOWN,
                Code.FAILED_PRECONDITION,
                Code.ALREADY_EXISTS,
                Code.OUT_OF_RANGE,
                Code.UNIMPLEMENTED,
                Code.DATA_LOSS,
            )
        ],
        (status(77), Uncertain("m")),
    ],
)
def test_a_status_has_one_meaning_in_an_answer_and_at_the_end(given: Status, expected: Outcome) -> None:
    """What is unknown is uncertain: the rows are sent again, and never taken for stored or refused."""
    assert outcome_of_response(Response(error=given)) == expected
    assert outcome_of_error(StreamEnd.of_status(given)) == expected


def test_an_answer_without_an_error_means_stored() -> None:
    """The default stream names no offset."""
    assert outcome_of_response(Response(append_result={})) == Stored()


def test_a_response_that_says_nothing_of_a_request_answers_none() -> None:
    """Taken for an answer it would acknowledge rows that nobody stored, and shift every later one."""
    assert not answers_a_request(Response())
    assert not answers_a_request(Response(updated_schema={}))
    for answer in (Response(append_result={}), Response(error=Status(code=3)), Response(row_errors=[{"index": 1}])):
        assert answers_a_request(answer)


def test_row_errors_keep_their_positions() -> None:
    """Whatever the status beside them says."""
    response = Response(error=status(Code.INVALID_ARGUMENT, "see the schema"))
    response.row_errors.add(index=2, message="bad timestamp")
    response.row_errors.add(index=0, message="x" * 2_000)
    outcome = outcome_of_response(response)
    assert outcome == RowsRefused({2: RowError("bad timestamp"), 0: RowError("x" * 500)}, "see the schema")


@pytest.mark.parametrize(
    ("end", "one", "each_of_three"),
    [
        (StreamEnd(Code.OK, "closed"), Uncertain("OK: closed"), Uncertain("OK: closed")),
        (StreamEnd(Code.UNAVAILABLE, "gone"), Uncertain("UNAVAILABLE: gone"), Uncertain("UNAVAILABLE: gone")),
        (
            StreamEnd(Code.RESOURCE_EXHAUSTED, "slow"),
            QuotaExceeded("RESOURCE_EXHAUSTED: slow"),
            QuotaExceeded("RESOURCE_EXHAUSTED: slow"),
        ),
        (
            StreamEnd(Code.NOT_FOUND, "m"),
            SetupError(SinkState.NOT_FOUND, "NOT_FOUND: m"),
            SetupError(SinkState.NOT_FOUND, "NOT_FOUND: m"),
        ),
        (
            StreamEnd(Code.INVALID_ARGUMENT, "m"),
            RowsRefused({}, "INVALID_ARGUMENT: m"),
            Uncertain("the stream, with 3 requests in flight, ended: m"),
        ),
        (
            StreamEnd(Code.INVALID_ARGUMENT, "AppendRows request too large"),
            TooLarge("INVALID_ARGUMENT: AppendRows request too large"),
            Uncertain("the stream, with 3 requests in flight, ended: AppendRows request too large"),
        ),
    ],
)
def test_the_end_of_a_stream_blames_a_request_only_where_it_is_alone(
    end: StreamEnd, one: Outcome, each_of_three: Outcome
) -> None:
    """Of several any may be meant, and each of the others may have been stored."""
    assert outcomes_of_end(end, 0) == []
    assert outcomes_of_end(end, 1) == [one]
    assert outcomes_of_end(end, 3) == [each_of_three] * 3
