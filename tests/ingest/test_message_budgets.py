"""The budgets of a message that its text alone does not tell: typed lists, bytes of rejects, and its turn."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.ingest.decode.reader import RecordReader
from app.ingest.verdict import DURABLE, Unavailable
from app.schema.table import records_table
from tests.ingest.reading import LIMITS, finish, read_message
from tests.ingest.scripted import ScriptedAppender, turns
from tests.ingest.test_heavy_messages import LARGE, MIB, NDJSON, ingest, lines, message, record


class Bill(msgspec.Struct, forbid_unknown_fields=True):
    """A list of which Python looks at every item, at 25 values each."""

    amounts: list[Decimal]
    data: Any = None


def reader(**changed: int) -> RecordReader:
    """Return a reader of bills, with room for large ones."""
    roomy = {
        "max_decompressed_bytes": 10**8,
        "max_message_bytes": 10**8,
        "max_record_bytes": 10**7,
        "max_batch_bytes": 10**7,
        "max_record_values": 1_000_000,
        "max_message_values": 2_000_000,
    }
    return RecordReader(
        records_table(Bill), ScriptedAppender().encoder, msgspec.structs.replace(LIMITS, **{**roomy, **changed})
    )


def bill(count: int) -> bytes:
    """Return a record with so many amounts."""
    return b'{"amounts":[%b]}' % b",".join([b"1"] * count)


@pytest.mark.parametrize(("count", "reasons"), [(40_000, []), (40_001, ["too_complex"])])
def test_the_items_of_a_typed_list_count_for_what_they_cost(count: int, reasons: list[str]) -> None:
    """A small record is held to it too, and has its verdict before any item is looked at."""
    _, rejects = read_message(reader(), message(bill(count), zipped=False))
    assert [each.reason for each in rejects] == reasons


def test_the_typed_lists_of_a_message_count_together() -> None:
    """No record is too much by itself; then none of them is stored."""
    for count, reasons in ((4, []), (6, ["too_complex"])):
        sent = message(lines(*[bill(15_000)] * count, b" " * 130_000), content_type=NDJSON)
        rows, rejects = finish(reader().read(sent))
        assert [each.reason for each in rejects] == reasons
        assert len(rows) == (0 if reasons else count)
        assert [each.raw for each in rejects] == [sent.data] * len(reasons)


async def test_the_attributes_that_rejects_repeat_are_counted() -> None:
    """A hundred bytes a record, and a hundred thousand for each of their rows."""
    on = ingest()
    sent = message(b"[" + b",".join([b"1"] * 900) + b"]", attributes=LARGE)
    assert (await on.pipeline.process(sent)).verdict == DURABLE
    (row,) = on.rejects.rows()
    assert (row["reason"], on.rejects.made) == ("too_many_rejects", 1)


async def test_a_large_body_waits_for_its_turn_and_the_end_does_not_wait_for_it() -> None:
    """It is large before anything is made of it; when the instance shuts down its sender is told to come again."""
    on = ingest()
    runner = on.pipelines.cooperative
    assert await runner._turn.take(10**9) is None  # another large message is being read
    taking = asyncio.ensure_future(on.take(record(b'"' + b"x" * 2 * MIB + b'"'), zipped=False))
    await turns()
    assert (taking.done(), on.records.made) == (False, 0)
    draining = asyncio.ensure_future(on.pipelines.drain(1.0))
    await on.clock.advance(1.1)
    assert isinstance((await taking).verdict, Unavailable)
    await draining


@pytest.mark.parametrize(("levels", "reasons"), [(498, []), (499, ["malformed"])])
def test_the_depth_of_a_large_record_is_measured_too(levels: int, reasons: list[str]) -> None:
    """The record itself is a level, and so is the list around the others."""
    deep = b'{"amounts":[],"data":[%b]}' % b",".join([b"[" * levels + b"]" * levels] * 200)
    rows, rejects = finish(reader().read(message(deep)))
    assert [each.reason for each in rejects] == reasons
    assert len(rows) == 1 - len(reasons)
