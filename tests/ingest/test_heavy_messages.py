"""Messages that once stopped an instance, at their full size and with the default limits: what becomes of each."""

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.rejects import reject
from app.ingest.pipeline import Pipeline, Pipelines, Receipt
from app.ingest.verdict import DURABLE
from app.record import Record
from app.settings.load import Settings
from app.stores.sink import Outcome, RowEncode, RowError, RowsRefused, Stored
from app.streams import single_stream
from app.telemetry.metrics import Metrics
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import ScriptedAppender
from tests.support.unwatched import environment_of

MIB = 1024**2
LARGE = {f"name{number}": "x" * 1_000 for number in range(100)}
NDJSON = "application/x-ndjson"


class Counting(ScriptedAppender):
    """Counts the rows that are made of records."""

    made = 0

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return what counts, and makes small rows."""

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            self.made += 1
            own = {"message_index": index, "delivery_key": delivery_key, "attributes": envelope["attributes"]}
            return msgspec.json.encode(own)[:-1] + b"," + msgspec.json.encode(record)[1:]

        return encode


class Ingest(msgspec.Struct):
    """The pipelines of one stream over two scripted stores."""

    pipelines: Pipelines
    records: Counting
    rejects: Counting
    metrics: Metrics
    clock: FakeClock

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of the stream."""
        return self.pipelines.by_stream["records"]

    async def take(self, data: bytes, *, zipped: bool = True, content_type: str = "", **more: Any) -> Receipt:
        """Process a message that holds `data`."""
        return await self.pipeline.process(message(data, zipped=zipped, content_type=content_type), **more)


def message(
    data: bytes, *, zipped: bool = True, content_type: str = "", attributes: dict[str, str] | None = None
) -> Message:
    """Return a message, compressed as a rule."""
    sent = gzip.compress(data, 6, mtime=0) if zipped else data
    encoding = "gzip" if zipped else ""
    return Message(
        key="7:0", data=sent, content_encoding=encoding, content_type=content_type, attributes=attributes or {}
    )


def ingest(**changed: Any) -> Ingest:
    """Return a pipeline with the default settings, some changed."""
    clock, records, rejects = FakeClock(), Counting(name="records"), Counting(name="rejects")
    environment = environment_of(clock, Settings().replace(**changed))
    appenders = {"records": records, "records_rejected": rejects}
    pipelines = Pipelines(environment, single_stream(Record), appenders, system="test")
    return Ingest(pipelines, records, rejects, environment.metrics, clock)


def record(data: bytes, name: str = "a") -> bytes:
    """Return a good record that holds `data`."""
    return b'{"id":"%b","timestamp":"2026-01-31T12:00:00Z","data":%b}' % (name.encode(), data)


def payload(rejects: list[dict[str, Any]]) -> bytes:
    """Put the parts of a reject together."""
    return b"".join(msgspec.convert(row["payload"], bytes) for row in rejects)


def array(*records: bytes) -> bytes:
    """Return a JSON array of records."""
    return b"[" + b",".join(records) + b"]"


def lines(*records: bytes) -> bytes:
    """Return records as NDJSON."""
    return b"\n".join(records)


@pytest.mark.parametrize(
    ("data", "attributes", "first"),
    [
        (b"[" + b",".join([b"{}"] * 8_000) + b"]", LARGE, "invalid at `id`"),
        (b"[" + b",".join([b"1"] * 20_000) + b"]", dict(list(LARGE.items())[:99]), "invalid: Expected `object`"),
        (b"[" + b",".join([b"1"] * 20_000) + b"]", {}, "invalid: Expected `object`"),
    ],
)
async def test_more_rejects_than_a_message_may_have_are_one(
    data: bytes, attributes: dict[str, str], first: str
) -> None:
    """Rejects are counted, and so are the bytes that they would take with their attributes, before any row is made."""
    on = ingest()
    sent = message(data, attributes=attributes)
    assert (await on.pipeline.process(sent)).verdict == DURABLE
    (row,) = on.rejects.rows()
    assert (row["reason"], payload([row]), on.rejects.made) == ("too_many_rejects", sent.data, 1)
    assert f"The first was record 0, {first}" in row["detail"]
    assert dict(+on.metrics.rejected_records) == {("too_many_rejects", "records"): 1}


async def test_one_large_reject_is_never_too_many() -> None:
    """To reject the message instead would be no less."""
    on = ingest(max_message_bytes=1_000)
    await on.take(b'"' + b"x" * 5_000 + b'"', zipped=False)
    (row,) = on.rejects.rows()
    assert row["reason"] == "invalid"


def refuse(count: int) -> Any:
    """Return a store that names `count` rows of its first append as refused."""
    answers: list[Outcome] = [RowsRefused({position: RowError("no", "data") for position in range(count)})]
    return lambda _: answers.pop(0) if answers else Stored()


@pytest.mark.parametrize(
    ("content_type", "joined"),
    [("", b"[" + b",".join([record(b"1")] * 4) + b"]"), (NDJSON, b"\n".join([record(b"1")] * 4))],
)
async def test_rows_that_the_store_refuses_are_bounded_too(content_type: str, joined: bytes) -> None:
    """More than a message may have are one reject, of their bytes and no others; the answer names each."""
    on = ingest(max_rejects_per_message=3)
    on.records.decide = refuse(4)
    data = (lines if content_type else array)(*[record(b"1")] * 4, record(b"2"))
    receipt = await on.take(data, zipped=False, content_type=content_type)
    (row,) = on.rejects.rows()
    assert (row["reason"], row["field"], payload([row])) == ("too_many_rejects", "data", joined)
    assert "the store refused 4 rows (records 0, 1, 2, 3); the first error: no" in row["detail"]
    assert [each.index for each in receipt.rejected] == [0, 1, 2, 3]
    assert [index for index, _ in receipt.stored] == [4]


def test_a_receipt_weighs_what_it_holds() -> None:
    """In units of about 300 bytes; that of nearly all messages holds nothing."""
    assert Receipt(DURABLE).weight == 1
    assert Receipt(DURABLE, stored=((0, "a"), (1, 7), (2, None))).weight == 4
    assert Receipt(DURABLE, stored=((0, "a" * 1_000),)).weight == 5
    assert Receipt(DURABLE, rejected=(reject(0, "invalid", "d" * 900, raw=b""),)).weight == 5
