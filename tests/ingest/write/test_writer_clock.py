"""The writer while this instance's clock cannot be trusted: it waits, then says so."""

import asyncio

from app.ingest.verdict import Durable, Unavailable
from app.runtime.time_of_day import BELIEVED_AFTER_US
from app.stores.sink import SinkState
from tests.ingest.bench import Bench

BELIEVED_S = BELIEVED_AFTER_US / 1_000_000


async def test_a_jump_that_passes_holds_messages_up_and_costs_none(bench: Bench) -> None:
    """Nothing is appended meanwhile; then all of it is, and the state is over."""
    await bench.clock.advance(100)
    bench.clock.doubt = "it jumped by +3600.0 s"
    waiting = [bench.submit(b"a"), bench.submit(b"b")]
    await bench.clock.advance(BELIEVED_S)
    assert bench.appender.batches == []
    assert (bench.state(), bench.writer.health.detail) == (SinkState.CLOCK_WRONG, "it jumped by +3600.0 s")
    bench.clock.doubt = ""
    await bench.clock.advance(0.3)
    assert await asyncio.gather(*waiting) == [Durable()] * 2
    assert bench.state() is SinkState.ACTIVE


async def test_a_clock_that_stays_wrong_is_told_at_once(bench: Bench) -> None:
    """Whoever comes later need not wait for it; when it is right again, the next message is stored."""
    bench.clock.doubt = "the newest timestamp is 3600.0 s ahead"
    first = bench.submit(b"a")
    await bench.clock.advance(BELIEVED_S + 2)
    assert await first == Unavailable("the store is not ready to accept records: CLOCK_WRONG", 10.0)
    assert bench.writer.health.detail == "the newest timestamp is 3600.0 s ahead"
    assert isinstance(await bench.submit(b"b"), Unavailable)
    await bench.clock.advance(10)
    assert isinstance(await bench.submit(b"c"), Unavailable), "it is looked at again, and not waited for"
    assert bench.appender.batches == []
    bench.clock.doubt = ""
    await bench.clock.advance(10)
    assert await bench.submit(b"d") == Durable()
    assert bench.state() is SinkState.ACTIVE
