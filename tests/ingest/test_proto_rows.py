"""Rows of the Storage Write API: what an independent protobuf decoder reads of them."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.envelope import Message
from app.ingest.proto_rows import RowEncoder
from app.record import Record
from app.schema.table import Table, records_table

ENVELOPE = Message(key="k", data=b"").envelope(0)


class Colour(Enum):
    """A closed set."""

    RED = "red"


class Inner(msgspec.Struct):
    """What may be nested."""

    when: datetime
    tags: list[str]
    colour: Colour | None = None


class Everything(msgspec.Struct):
    """A field of every kind."""

    flag: bool
    number: int
    ratio: float
    price: Decimal
    text: str
    raw: bytes
    day: date
    clock: Annotated[time, msgspec.Meta(tz=False)]
    key: UUID
    colour: Colour
    size: Literal[1, 2]
    inner: Inner
    inners: list[Inner]
    days: list[date]
    anything: Any = None
    note: str | None = None


def decode(table: Table, row: bytes) -> dict[str, Any]:
    """Read a row by the descriptor that BigQuery would be sent."""
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="r.proto", package="t", message_type=[RowEncoder(table).descriptor]))
    message = GetMessageClass(pool.FindMessageTypeByName("t.Row")).FromString(row)
    assert message.IsInitialized()
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found


def test_every_kind_is_what_the_write_api_takes() -> None:
    """Instants are microseconds, days are counted, and NUMERIC, TIME and JSON are text."""
    table = records_table(Everything)
    moment = datetime(2026, 1, 31, 12, 0, 0, 1, UTC)
    inner = Inner(moment, ["a", "b"], Colour.RED)
    key = UUID("00000000-0000-4000-8000-00000000000A")
    record = Everything(
        flag=True,
        number=-(2**63),
        ratio=-0.0,
        price=Decimal("1E+3"),
        text="é\0",
        raw=b"\xff",
        day=date(1969, 12, 31),
        clock=time(1, 2, 3, 4),
        key=key,
        colour=Colour.RED,
        size=2,
        inner=inner,
        inners=[inner, Inner(moment, [])],
        days=[date(1970, 1, 2)],
        anything={"a": [1.5, None]},
    )
    encoder = RowEncoder(table)
    row = encoder.stamped([encoder.encode(record, ENVELOPE)], 1_700_000_000_000_001)[0]
    nested = {"when": str(1_769_860_800_000_001), "tags": ["a", "b"], "colour": "red"}
    assert decode(table, row) == {
        "flag": True,
        "number": str(-(2**63)),
        "ratio": -0.0,
        "price": "1000",
        "text": "é\0",
        "raw": "/w==",
        "day": -1,
        "clock": "01:02:03.000004",
        "key": str(key),
        "colour": "red",
        "size": "2",
        "inner": nested,
        "inners": [nested, {"when": nested["when"]}],
        "days": [1],
        "anything": '{"a":[1.5,null]}',
        "attributes": "{}",
        "message_index": "0",
        "delivery_key": "k:0",
        "ingest_time": "1700000000000001",
    }


_RECORDS = records_table(Record)
_ENCODER = RowEncoder(_RECORDS)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_later_stamp_takes_the_place_of_an_earlier_one(first_us: int, second_us: int) -> None:
    """Serialised messages concatenate, and the last value of a field counts: a stamp is a few bytes at the end."""
    record = Record(id="a", timestamp=datetime(2026, 1, 31, tzinfo=UTC))
    plain = _ENCODER.encode(record, ENVELOPE)
    once = _ENCODER.stamped([plain], first_us)
    assert decode(_RECORDS, once[0])["ingest_time"] == str(first_us)
    assert decode(_RECORDS, _ENCODER.stamped(once, second_us)[0])["ingest_time"] == str(second_us)
    assert len(once[0]) - len(plain) <= 11


def test_two_types_of_one_name_do_not_meet() -> None:
    """Each encoder has a descriptor pool of its own."""
    first, second = (RowEncoder(records_table(msgspec.defstruct("Order", [("id", kind)]))) for kind in (str, int))
    assert first.descriptor.field[0].type != second.descriptor.field[0].type
