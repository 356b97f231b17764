"""What local-bigquery 0.4.0 does otherwise than BigQuery: every place of the suite that makes allowance is named here.

Each allowance is exact, so that the suite fails once the gap is closed.
"""

import base64
from typing import Any

import msgspec
import pytest

from app.schema.columns import Column, Kind, Mode
from tests.contract.stores import Engine

NUL_IN_A_PARAMETER = "a NUL ends the text that it makes of a string parameter, where BigQuery binds the value"


OTHERWISE_BELOW_THE_TOP = {Kind.BYTES, Kind.JSON}
"""The kinds that it stores otherwise in a list or a STRUCT (`mended`)."""


def allow(engine: Engine, request: pytest.FixtureRequest, gap: str) -> None:
    """Expect the test to fail over local-bigquery, because of `gap`."""
    if engine.name == "bigquery":
        request.applymarker(pytest.mark.xfail(reason=f"local-bigquery: {gap}"))


def mended(columns: tuple[Column, ...], row: dict[str, Any]) -> dict[str, Any]:
    """Return `row` as BigQuery gives it.

    Below the top level (in a list or a STRUCT), local-bigquery stores BYTES as the bytes of their base64, and JSON
    as a JSON string that holds it.
    """
    return {column.name: _mended(column, row[column.name]) for column in columns}


def _mended(column: Column, value: Any, *, below: bool = False) -> Any:
    if value is None:
        return None
    if column.mode is Mode.REPEATED:
        item = msgspec.structs.replace(column, mode=Mode.NULLABLE)
        return [_mended(item, each, below=True) for each in value]
    match column.kind:
        case Kind.STRUCT:
            return {field.name: _mended(field, value[field.name], below=True) for field in column.fields}
        case Kind.BYTES if below:
            return base64.b64decode(value, validate=True)
        case Kind.JSON if below:
            return msgspec.Raw(msgspec.json.decode(value, type=str).encode())
        case _:
            return value
