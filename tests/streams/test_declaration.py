"""What SLUICE_STREAMS may name, and how a mistake in it is told."""

from typing import Any

import pytest

from app.record import Record, RecordTypeError
from app.schema.table import REJECTS
from app.settings.store import StoreSettings
from app.streams import MAX_STREAMS, Stream, StreamsError, load_streams, make_streams
from tests.streams.market import Order, Payment, Visit


def made(declared: Any) -> Any:
    """Return the streams of a mapping, or the text of the refusal."""
    try:
        return make_streams(declared, default_retention_days=400)
    except StreamsError as error:
        return str(error)


def test_one_type_is_one_stream_named_as_its_table_always_was() -> None:
    """So cursors, tables and dashboards of a deployment with one type stay as they are."""
    streams = load_streams(StoreSettings())
    assert (list(streams.by_name), streams.default.table.name, streams.are_named) == (["records"], "records", False)
    assert streams.default.table.record_type is Record
    assert streams.default.table.retention_days is None


def test_a_mapping_names_streams_tables_and_retentions() -> None:
    """The first is the default; a bare type is a stream without rules."""
    streams = load_streams(StoreSettings(streams="tests.streams.market:STREAMS", retention_days=7))
    assert [(table.name, table.record_type, table.retention_days) for table in streams.tables] == [
        ("orders", Order, 7),
        ("payments", Payment, 30),
        ("visits", Visit, 7),
    ]
    assert (streams.default.name, streams.are_named) == ("orders", True)
    assert streams.table("").name == "orders"
    assert streams.table("visits").record_type is Visit
    assert made({"orders": Order}).by_name["orders"].attributes == ()


_MISTAKES: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "expected a mapping of at least one stream"),
    "too many": ({f"s{number}": Order for number in range(MAX_STREAMS + 1)}, "expected at most 200"),
    "reserved": ({"sluice_mirror": Order}, "stream 'sluice_mirror': a name must be 1 to 63 characters"),
    "capitals": ({"Orders": Order}, "stream 'Orders': a name must be 1 to 63 characters"),
    "the table of rejects": ({REJECTS: Order}, f"not be `{REJECTS}`"),
    "a number": ({7: Order}, "stream 7: a name must be"),
    "no type": ({"a": "Order"}, "is no record type: expected a msgspec.Struct, Versions of one, or Stream(record=…)"),
    "half a day": ({"a": Stream(record=Order, retention_days=0.5)}, "expected a whole number of days"),  # type: ignore[arg-type] # the mistake
    "no subscription": ({"a": Stream(record=Order, subscriptions=("",))}, "subscriptions is ('',): expected a text"),
    "the attribute stream": (
        {"a": Stream(record=Order, attributes={"stream": "b"})},
        "attributes['stream']: this attribute holds the name of a stream and needs no rule",
    ),
    "a subscription twice": (
        {"a": Stream(record=Order, subscriptions=("s",)), "b": Stream(record=Order, subscriptions=("s",))},
        "streams 'a' and 'b' both take the subscription s",
    ),
    "attributes twice": (
        {"a": Stream(record=Order, attributes={"t": "x"}), "b": Stream(record=Order, attributes={"t": "x"})},
        "streams 'a' and 'b' both take the same attributes",
    ),
}


@pytest.mark.parametrize(("declared", "told"), _MISTAKES.values(), ids=_MISTAKES.keys())
def test_a_mistake_is_told_with_the_stream_and_what_would_be_right(declared: Any, told: str) -> None:
    """At start-up, not with the first message."""
    assert told in made(declared)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("tests.streams.market", "must be package.module:NAME"),
        ("tests.streams.market:NONE", "cannot be imported"),
        ("tests.streams.nowhere:STREAMS", "cannot be imported"),
        ("tests.streams.market:Order", "expected a mapping"),
    ],
)
def test_what_cannot_be_imported_is_told(spec: str, told: str) -> None:
    """As one line, by the setting."""
    with pytest.raises(RecordTypeError, match=told):
        load_streams(StoreSettings(streams=spec))
