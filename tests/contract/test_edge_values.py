import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from app.stores.sink import Stored
from tests.contract.stores import Engine
from tests.contract.way import Way
from tests.schema.values import SAMPLES

_Sparse = msgspec.defstruct(
    "Sparse", [(name, sample.annotation | None, None) for name, sample in SAMPLES.items()], forbid_unknown_fields=True
)
_DEEP = "[" * 200 + "1" + "]" * 200


_EDGES = [
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
]


@pytest.fixture(scope="module")
def sparse(engine: Engine) -> Iterator[Way]:
    """Give one store, whose record type has a field of every type, all of them optional."""
    way = Way(engine, _Sparse)
    yield way
    way.close()


@pytest.fixture(scope="module")
def served(sparse: Way) -> list[dict[str, str]]:
    """Give what is served of one record for each edge value, all of them sent in one message."""
    outcome, rows = sparse.there([f'{{"{field}": {sent}}}'.encode() for field, sent, _ in _EDGES])
    assert outcome == Stored()
    assert len(rows) == len(_EDGES)
    return [sparse.served(row) for row in rows]


@pytest.mark.parametrize("number", range(len(_EDGES)), ids=lambda number: ":".join(_EDGES[number])[:60])
def test_an_edge_value_is_served_as_sent(served: list[dict[str, str]], number: int) -> None:
    """A value at the edge of its type, as a producer writes it, is served to the last digit."""
    field, _, expected = _EDGES[number]
    assert served[number][field] == expected


def test_a_row_holds_python_values_of_the_kind(sparse: Way) -> None:
    """The store hands out Decimal, bytes, aware UTC instants and raw JSON, as the QueryRunner promises."""
    record = {"decimal": "1.5", "bytes": "AA==", "instant": "2026-01-31T12:00:00+01:00", "any": [1], "float": -0.0}
    _, [row] = sparse.there([msgspec.json.encode(record)])
    assert row["decimal"] == Decimal("1.5")
    assert row["bytes"] == b"\0"
    assert row["instant"] == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert row["instant"].tzinfo is row["ingest_time"].tzinfo is UTC
    assert row["str"] is None
    assert row["any"] == msgspec.Raw(b"[1]")
    assert math.copysign(1, row["float"]) == -1
