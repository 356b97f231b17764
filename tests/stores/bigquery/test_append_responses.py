"""What the Storage Write API's answers mean."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from google.cloud.bigquery_storage_v1 import types
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.stores.bigquery.failures import (
    StreamEnd,
    outcome_of_error,
    outcome_of_response,
)
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
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


missing, forbidden, misfit = (
    partial(SetupError, state)
    for state in (SinkState.NOT_FOUND, SinkState.PERMISSION_DENIED, SinkState.SCHEMA_MISMATCH)
)
refused = partial(RowsRefused, {})
UNCERTAIN = "UNAVAILABLE ABORTED INTERNAL DEADLINE_EXCEEDED CANCELLED UNKNOWN FAILED_PRECONDITION ALREADY_EXISTS"
UNCERTAIN += " OUT_OF_RANGE UNIMPLEMENTED DATA_LOSS"


@pytest.mark.parametrize(
    ("code", "message", "storage_error", "meaning"),
    [
        ("NOT_FOUND", "m", None, missing),
        ("PERMISSION_DENIED", "m", None, forbidden),
        ("UNAUTHENTICATED", "m", None, forbidden),
        ("FAILED_PRECONDITION", "m", StorageError.KMS_PERMISSION_DENIED, forbidden),
        ("INVALID_ARGUMENT", "m", StorageError.SCHEMA_MISMATCH_EXTRA_FIELDS, misfit),
        ("INVALID_ARGUMENT", "Input schema has more fields than BigQuery schema", None, misfit),
        ("INVALID_ARGUMENT", "m", StorageError.TABLE_NOT_FOUND, missing),
        ("INVALID_ARGUMENT", "m", None, refused),
        ("INVALID_ARGUMENT", 'value {"schema": 1} cannot be converted, larger than max', None, refused),
        ("INVALID_ARGUMENT", "AppendRows request too large: 11854265 limit 10485760", None, TooLarge),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9000000 vs. 4194304)", None, TooLarge),
        ("RESOURCE_EXHAUSTED", "m", None, QuotaExceeded),
        *((code, "m", None, Uncertain) for code in UNCERTAIN.split()),
    ],
)
def test_a_status_has_one_meaning_in_an_answer_and_at_the_end(
    code: str, message: str, storage_error: int | None, meaning: Callable[[str], Outcome]
) -> None:
    """The outcome quotes the code and the message."""
    given, expected = status(Code.Value(code), message, storage_error), meaning(f"{code}: {message}")
    assert outcome_of_response(Response(error=given)) == expected
    assert outcome_of_error(StreamEnd.of_status(given)) == expected


def test_row_errors_keep_their_positions() -> None:
    """Whatever the status beside them says."""
    response = Response(error=status(Code.INVALID_ARGUMENT, "see the schema"))
    response.row_errors.add(index=2, message="bad timestamp")
    response.row_errors.add(index=0, message="x" * 2_000)
    outcome = outcome_of_response(response)
    assert outcome == RowsRefused({2: RowError("bad timestamp"), 0: RowError("x" * 500)}, "see the schema")
