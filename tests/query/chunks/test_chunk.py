"""Rows as bytes and back: every kind of value, as a store returns it."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.query.chunks.chunk import Chunk, RowCodec, rows_between
from app.schema.table import records_table
from app.stores.query import Position
from tests.contract.every import EVERY

_KINDS: dict[str, Any] = {
    "flag": True,
    "number": -(2**63),
    "ratio": float("inf"),
    "price": Decimal("-0.000000001"),
    "text": 'é "quoted"\n\0',
    "raw": b"\x00\xff",
    "key": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "at": datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    "day": date(9999, 12, 31),
    "clock": time(23, 59, 59, 999999),
    "site": {"floor": -1, "room": None},
    "tree": msgspec.Raw(b'{"n": 1e400, "big": 123456789012345678901234567890, "s": "\\u00e9"}'),
}


class Leaf(msgspec.Struct, forbid_unknown_fields=True):
    """A part with JSON in it."""

    tags: list[str] = []
    any: Any = None


class Nested(msgspec.Struct, forbid_unknown_fields=True):
    """A record with lists of parts."""

    leaves: list[Leaf] = []
    leaf: Leaf | None = None
    days: list[date] = []


NESTED = records_table(Nested)


def row(at_number: int, /, **values: Any) -> tuple[Position, dict[str, Any]]:
    """Return a row of EVERY, with its position."""
    empty = {column.name: None for column in EVERY.columns}
    at = datetime(2026, 1, 1, 0, 0, 0, at_number, tzinfo=UTC)
    own = {"id": f"id{at_number}", "ingest_time": at, "delivery_key": f"k{at_number}", "message_index": 0}
    place = Position(1_767_225_600_000_000 + at_number, f"k{at_number}")
    return place, {**empty, **own, "attributes": msgspec.Raw(b"{}"), **values}


def test_rows_come_back_as_they_were() -> None:
    """The JSON as its bytes, and each value with its type."""
    rows = [row(0), row(1, **_KINDS), *(row(number) for number in range(2, 600))]
    codec = RowCodec(EVERY.columns)
    blocks = codec.blocks(rows)
    found = [each for block in blocks for each in codec.rows(block)]
    assert found == [each for _, each in rows]
    assert {name: type(value) for name, value in found[1].items()} == {
        name: type(value) for name, value in rows[1][1].items()
    }
    assert (len(blocks), sum(block.count for block in blocks)) == (3, 600)


def test_json_in_lists_of_structs_comes_back() -> None:
    """At any depth."""
    codec = RowCodec(NESTED.columns)
    leaf = {"tags": ["a"], "any": msgspec.Raw(b"[1]")}
    place, values = row(0)
    kept = {name: values[name] for name in ("ingest_time", "delivery_key", "message_index", "attributes")}
    wanted = {column.name: None for column in NESTED.columns} | kept
    wanted |= {"leaves": [leaf, {"tags": [], "any": None}], "leaf": leaf, "days": [date(2026, 1, 1)]}
    assert codec.rows(codec.blocks([(place, wanted)])[0]) == [wanted]


@pytest.mark.parametrize("at", ["infinity", "20000-01-01 00:00:00"])
def test_a_value_that_python_cannot_hold_makes_no_chunk(at: str) -> None:
    """The store's own answer shows it as it is."""
    with pytest.raises(ValueError, match="RFC3339"):
        RowCodec(EVERY.columns).blocks([row(0, at=at)])


@pytest.mark.parametrize("descending", [False, True])
def test_the_rows_between_two_positions_are_in_order(*, descending: bool) -> None:
    """Only the blocks that hold some are decoded."""
    rows, codec = [row(number) for number in range(1_000)], RowCodec(EVERY.columns)
    chunk = Chunk(rows[0][0].ingest_us, rows[-1][0].ingest_us + 1, codec.blocks(rows))
    low, high = rows[250][0], Position(rows[520][0].ingest_us, "")
    pieces = [*rows_between(chunk, codec, low=low, high=high, descending=descending)]
    found = [each["id"] for piece in pieces for each in piece]
    expected = [f"id{number}" for number in range(250, 520)]
    assert found == (expected[::-1] if descending else expected)
    assert len(pieces) == 3
