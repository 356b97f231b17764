"""The worker process: what it reads, what it may use, and what becomes of messages when it ends."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.heavy import HeavyReads
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.intake import Allowance
from app.ingest.verdict import Throttled, Unavailable
from app.runtime.clock import MICROSECONDS, SystemClock
from app.runtime.ledger import Ledger
from app.schema.protection import hasher_of
from app.settings.load import Settings
from app.stores.backend import row_encoder
from app.streams import load_streams
from sluice.testing.pace import patience_s
from tests.ingest.people import SECRET, person
from tests.ingest.reading import rows_of

SETTINGS = Settings().replace(
    streams="tests.ingest.decode.heavy_types:STREAMS",
    pii_secret=SECRET,
    max_read_cpu_s=1,
    max_read_memory_bytes=64 * 1024**2,
)
NDJSON = "application/x-ndjson"


class Stage:
    """A worker, and a reader of each stream in this process, too."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.heavy = HeavyReads(SETTINGS.store, SETTINGS.ingest, self.clock)
        hasher = hasher_of(SECRET)
        self.readers = {
            table.name: RecordReader(table, row_encoder("embedded", table), SETTINGS.ingest, hasher)
            for table in load_streams(SETTINGS.store).tables
        }

    async def read(
        self, message: Message, stream: str = "slow", *, within_s: float = 60.0, caller: str = "a"
    ) -> Decoded | Unavailable | Throttled:
        """Read a message in the worker."""
        reservation = Ledger(max_bytes=10**9).hold(caller, 1)
        deadline_us = self.clock.elapsed_us() + round(patience_s(within_s) * MICROSECONDS)
        return await self.heavy.read(self.readers[stream], message, Allowance(deadline_us, reservation))

    async def reasons(self, message: Message, stream: str = "slow") -> list[tuple[str, str]]:
        """Return the reasons and details of a message's rejects."""
        decoded = await self.read(message, stream)
        assert isinstance(decoded, Decoded)
        return [(each.reason, each.detail) for each in decoded.rejects]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Give a stage whose worker ends with the test."""
    stage = Stage()
    yield stage
    await stage.heavy.close()


def message(*records: Any, **more: Any) -> Message:
    """Return a message of these records as lines."""
    data = b"\n".join(each if isinstance(each, bytes) else msgspec.json.encode(each) for each in records)
    return Message(key="7:0", data=data, content_type=NDJSON, **more)


def slow(**how: Any) -> dict[str, Any]:
    """Return a record of the type Slow."""
    return {"id": "a"} | how


def plain(decoded: Any) -> Any:
    """Return what was read, as plain values."""
    assert isinstance(decoded, Decoded)
    return rows_of(decoded), [*decoded.rejects], decoded.undeclared


MESSAGES: dict[str, tuple[str, Message]] = {
    "good and bad": ("records", message({"id": "a", "timestamp": "2026-01-31T12:00:00Z"}, {"id": 7}, b"{", b"[1]")),
    "many rows": ("slow", message(*[slow(data="x" * 1_000)] * 2_000, attributes={"k": "v"}, message_id="1")),
    "many rejects": ("slow", message(*[{"id": 7, "data": "x" * 10_000}] * 200)),
    "undeclared": ("slow", message(slow(x=1), slow(x=2, y=3))),
    "compressed": ("slow", Message(key="7:0", data=gzip.compress(b'[{"id":"a"}]'), content_encoding="gzip")),
    "not compressed": ("slow", Message(key="7:0", data=b"{}", content_encoding="gzip")),
    "personal": ("people", message(person(), person(visits="x"), b"{")),
    "perhaps personal": ("slow", message({"id": 7}, may_be_personal=True)),
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_message_is_read_as_in_this_process(name: str, stage: Stage) -> None:
    """With the same rows, rejects and counts; the secret for personal data arrives there, what is printed does not."""
    stream, sent = MESSAGES[name]
    assert plain(await stage.read(sent, stream)) == plain(stage.readers[stream].read(sent))


@pytest.mark.parametrize(
    ("how", "detail"),
    [({"spin_s": 30.0}, "more than 1 s of processor time"), ({"mib": 500}, "more than 64 MiB of memory")],
)
async def test_what_is_used_up_in_a_fresh_process_is_the_messages_own_fault(
    how: dict[str, Any], detail: str, stage: Stage
) -> None:
    """It is one reject with its bytes, after a second try if others were read there before; the next one is read."""
    assert await stage.reasons(message(slow())) == []
    sent = message(slow(**how), slow())
    decoded = await stage.read(sent)
    assert isinstance(decoded, Decoded)
    (rejected,) = decoded.rejects
    assert (len(decoded.rows), rejected.reason, rejected.detail, rejected.raw) == (0, "too_complex", detail, sent.data)
    assert await stage.reasons(message(slow())) == []


async def test_a_process_that_dies_accuses_nobody(stage: Stage) -> None:
    """Its message is delivered again, and the next one has a new process."""
    assert isinstance(await stage.read(message(slow(dies=True))), Unavailable)
    assert await stage.reasons(message(slow())) == []


async def test_time_spent_waiting_is_no_fault(stage: Stage) -> None:
    """Neither that of the message itself, nor that of one behind it: each is delivered again."""
    sleeping = asyncio.create_task(stage.read(message(slow(sleep_s=300.0)), within_s=2.0))
    behind = asyncio.create_task(stage.read(message(slow()), within_s=1.0))
    assert [type(each) for each in await asyncio.gather(sleeping, behind)] == [Unavailable, Unavailable]
    assert await stage.reasons(message(slow())) == []


async def test_a_message_that_is_abandoned_leaves_the_process_to_others(stage: Stage) -> None:
    """Its sender has hung up in the middle."""
    sleeping = asyncio.create_task(stage.read(message(slow(sleep_s=300.0))))
    await asyncio.sleep(0.1)
    sleeping.cancel()
    assert await stage.reasons(message(slow())) == []


async def test_streams_and_callers_take_turns(stage: Stage) -> None:
    """Whoever sends many waits for itself."""
    ended = list[str]()

    async def read(caller: str, stream: str = "slow") -> None:
        await stage.read(message(slow()), stream, caller=caller)
        ended.append(f"{caller} {stream}")

    first = asyncio.create_task(stage.read(message(slow(sleep_s=0.5))))
    await asyncio.sleep(0)
    others = [asyncio.create_task(read(*who)) for who in [("a",)] * 3 + [("b",), ("a", "records")]]
    await asyncio.gather(first, *others)
    assert ended == ["b slow", "a records", "a slow", "a slow", "a slow"]


async def test_a_result_without_room_is_throttled(stage: Stage) -> None:
    """It is charged as it arrives; the process goes on."""
    ledger = Ledger(max_bytes=100_000)
    reservation, other = ledger.open("a"), ledger.open("b")
    assert reservation is not None
    assert other is not None
    allowance = Allowance(stage.clock.elapsed_us() + 10**8, reservation)
    large = message(*[slow(data="x" * 1_000)] * 1_000)
    assert isinstance(await stage.heavy.read(stage.readers["slow"], large, allowance), Throttled)
    assert reservation.size < 100_000
    worker = stage.heavy._worker
    assert await stage.reasons(message(slow())) == []
    assert stage.heavy._worker is worker


async def test_when_the_instance_ends_what_is_read_or_waits_is_delivered_again(stage: Stage) -> None:
    """Also what comes later."""
    reads = [asyncio.create_task(stage.read(message(slow(sleep_s=300.0)))) for _ in range(2)]
    await asyncio.sleep(0.5)
    await stage.heavy.close()
    assert [type(each) for each in await asyncio.gather(*reads)] == [Unavailable] * 2
    assert isinstance(await stage.read(message(slow())), Unavailable)
