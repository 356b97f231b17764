import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.ingest.appender import Stored
from tests.schema.store import Way
from tests.schema.values import SAMPLES, Field

_FIELDS: list[Field] = [(name, sample.annotation | None, sample.values) for name, sample in SAMPLES.items()]
_Sparse = msgspec.defstruct("Sparse", [(name, annotation, None) for name, annotation, _ in _FIELDS])
_DEEP = "[" * 200 + "1" + "]" * 200


@pytest.fixture(scope="module")
def sparse() -> Iterator[Way]:
    """Give one store, whose record type has a field of every type, all of them optional."""
    way = Way(_Sparse)
    yield way
    way.close()


@pytest.mark.parametrize(
    ("field", "sent", "served"),
    [
        ("int", "-9223372036854775808", "-9223372036854775808"),
        ("int", "9223372036854775807", "9223372036854775807"),
        ("float", "-0.0", "-0.0"),
        ("float", "5e-324", "5e-324"),
        ("float", "1e308", "1e308"),
        ("float", "1.7976931348623157e308", "1.7976931348623157e308"),
        ("float", "3", "3.0"),
        ("decimal", "0.1", '"0.1"'),
        ("decimal", '"1.50"', '"1.5"'),
        ("decimal", "1E+5", '"100000"'),
        ("decimal", '"99999999999999999999999999999.999999999"', '"99999999999999999999999999999.999999999"'),
        ("decimal", '"-99999999999999999999999999999.999999999"', '"-99999999999999999999999999999.999999999"'),
        ("decimal", '"0.000000001"', '"0.000000001"'),
        ("decimal", '"1.00000000000000000000"', '"1"'),
        ("str", r'"a\u0000b"', r'"a\u0000b"'),
        ("str", r'"\ud834\udd1e"', '"𝄞"'),
        ("str", '""', '""'),
        ("bytes", '""', '""'),
        ("bytes", '"AAECAw=="', '"AAECAw=="'),
        ("instant", '"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00Z"'),
        ("instant", '"9999-12-31T23:59:59.999999Z"', '"9999-12-31T23:59:59.999999Z"'),
        ("instant", '"2026-01-31T12:00:00.000001+05:45"', '"2026-01-31T06:15:00.000001Z"'),
        ("instant", '"1969-12-31T19:00:00-05:00"', '"1970-01-01T00:00:00Z"'),
        ("instant", '"2026-01-31T12:00:00.9999999Z"', '"2026-01-31T12:00:01Z"'),
        ("date", '"0001-01-01"', '"0001-01-01"'),
        ("date", '"9999-12-31"', '"9999-12-31"'),
        ("time", '"23:59:59.999999"', '"23:59:59.999999"'),
        ("uuid", '"01234567-89AB-CDEF-0123-456789ABCDEF"', '"01234567-89ab-cdef-0123-456789abcdef"'),
        ("int_enum", "-9223372036854775808", "-9223372036854775808"),
        ("any", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("any", "-0.0", "-0.0"),
        ("any", '"text"', '"text"'),
        ("any", "false", "false"),
        ("any", _DEEP, _DEEP),
        ("any", r'{"b":1,"a":{"\u0000":[]}}', r'{"b":1,"a":{"\u0000":[]}}'),
        ("dict", "{}", "{}"),
        ("dict", '{"": null}', '{"":null}'),
        ("dict_of_lists", '{"a": []}', '{"a":[]}'),
        ("any", "null", "null"),
        ("str", "null", "null"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_edge_value_is_served_as_sent(sparse: Way, field: str, sent: str, served: str) -> None:
    """A value at the edge of its type, as a producer writes it, is served to the last digit."""
    outcome, rows = sparse.there([f'{{"{field}": {sent}}}'.encode()])
    assert outcome == Stored()
    assert len(rows) == 1
    assert sparse.served(rows[0])[field] == served


@pytest.mark.parametrize(
    ("field", "sent", "detail"),
    [
        ("int", "9223372036854775808", "does not fit in 64 bits"),
        ("int", "-9223372036854775809", "does not fit in 64 bits"),
        ("decimal", '"NaN"', "not a finite number"),
        ("decimal", '"-Infinity"', "not a finite number"),
        ("decimal", '"sNaN1"', "not a finite number"),
        ("decimal", '"0.0000000001"', "has 10 decimal places: expected at most 9"),
        ("decimal", '"12345678901234567890.1234567891"', "has 10 decimal places"),
        ("decimal", '"100000000000000000000000000000"', "has 30 digits before the point: expected at most 29"),
        ("decimal", '"1E+999999999"', "has 1000000000 digits before the point"),
        ("decimal", '"1E-999999999"', "has 999999999 decimal places"),
        ("instant", '"2026-01-31T12:00:00"', "timezone"),
        ("instant", '"0001-01-01T00:00:00+05:00"', "is outside the years 1 to 9999"),
        ("instant", '"9999-12-31T23:59:59-00:01"', "is outside the years 1 to 9999"),
        ("time", '"12:00:00+01:00"', "has a UTC offset"),
        ("constrained_int", "256", "<= 255"),
        ("str_enum", '"blue"', "Invalid enum value"),
        ("bytes", '"not base64!"', "Invalid base64"),
    ],
)
def test_a_value_that_no_column_holds_is_rejected(sparse: Way, field: str, sent: str, detail: str) -> None:
    """What the type allows and the store cannot hold is rejected by name, and nothing of it is stored."""
    rows, rejects = sparse.read(f'{{"{field}": {sent}}}'.encode())
    assert not rows
    assert [(reject.reason, reject.field) for reject in rejects] == [("invalid", field)]
    assert detail in rejects[0].detail


class _Fare(msgspec.Struct):
    amount: Decimal
    paid_time: datetime | None = None


class _Leg(msgspec.Struct):
    fare: Decimal = Decimal(0)
    fares: list[_Fare] = []
    numbers: list[int] = []
    paid: _Fare | None = None


class _Journey(msgspec.Struct):
    legs: list[_Leg]
    first: _Leg | None = None


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"legs": [{}, {"fare": "NaN"}]}, "legs[1].fare"),
        ({"legs": [{"numbers": [1, 2, 2**63]}]}, "legs[0].numbers[2]"),
        ({"legs": [{"fares": [{"amount": 1}, {"amount": "0.0000000001"}]}]}, "legs[0].fares[1].amount"),
        ({"legs": [], "first": {"paid": {"amount": "1E+30"}}}, "first.paid.amount"),
        ({"legs": [{"paid": {"amount": 1, "paid_time": "2026-01-31T12:00:00"}}]}, "legs[0].paid.paid_time"),
    ],
)
def test_the_path_of_a_rejected_value_leads_through_lists_and_structs(sent: dict[str, Any], field: str) -> None:
    """The field of a rejection says which item of which list holds the value."""
    way = Way(_Journey)
    try:
        rows, rejects = way.read(msgspec.json.encode(sent))
    finally:
        way.close()
    assert not rows
    assert [reject.field for reject in rejects] == [field]
    assert rejects[0].detail.startswith(f"{field} ")


def test_a_row_holds_python_values_of_the_kind(sparse: Way) -> None:
    """The store hands out Decimal, bytes, aware UTC instants and raw JSON, as the QueryRunner promises."""
    record = {"decimal": "1.5", "bytes": "AA==", "instant": "2026-01-31T12:00:00+01:00", "any": [1], "float": -0.0}
    _, [row] = sparse.there([msgspec.json.encode(record)])
    assert row["decimal"] == Decimal("1.5")
    assert row["bytes"] == b"\0"
    assert row["instant"] == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert row["instant"].tzinfo is UTC
    assert row["any"] == msgspec.Raw(b"[1]")
    assert math.copysign(1, row["float"]) == -1
