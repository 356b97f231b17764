"""Chunks that instances share: one pays for a span, and nothing that another wrote is believed too easily."""

import asyncio
import sys

import pytest
from litestar.stores.base import Store

from app.query.chunks.chunk import Chunk
from app.query.chunks.keys import keys_of
from app.query.chunks.shared import TTL_S, SharedChunks
from app.query.read.cache import BoundedMemoryStore, open_store
from app.runtime.time_range import TimeRange
from app.schema.table import Table, rejects_table
from sluice.testing.clock import FakeClock
from tests.contract.shelf import Put, originals
from tests.contract.stores import RECORDS, T0_US
from tests.query.chunks.test_keys import SPAN, STEP_US, Told, places_of
from tests.valkey_server import ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]
PUTS = [Put(T0_US + place * STEP_US, "abcd"[place % 3]) for place in range(SPAN)]


class Failing(BoundedMemoryStore):
    """A server that is out of order."""

    async def get(self, key: str, renew_for: object = None) -> bytes | None:
        raise ConnectionError("refused")


def sharing(server: Store, *, place: str = "here", table: Table = RECORDS) -> Told:
    """Return an instance over its own copy of the rows that shares its chunks."""
    told = Told(PUTS)
    told.source._tables["records"]._others = SharedChunks(
        server, told.fake, table, lambda: f"{place} {told.generation}"
    )
    return told


async def read(told: Told) -> None:
    """Read everything, and compare it."""
    found = await told.page(0, SPAN)
    await asyncio.gather(*told.source._tables["records"]._giving)
    assert found == places_of(originals(PUTS), TimeRange(T0_US, T0_US + SPAN * STEP_US))


async def test_what_one_instance_has_read_the_others_need_not(valkey_server: ValkeyServer) -> None:
    """Through a real server: the same rows in the same order, without a query, and the keys of the look-back too."""
    one, other = (open_store(valkey_server.settings, FakeClock()) for _ in range(2))
    async with one, other:
        first, second = sharing(one), sharing(other)
        await read(first)
        assert first.lookbacks
        await read(second)
        assert second.lookbacks == []
        assert len(second.shelf.keys) == len(first.shelf.keys) > 0
        assert second.source._tables["records"].reads["from_others"] == len(first.lookbacks)


@pytest.mark.parametrize("change", ["place", "table", "erasure", "time"])
async def test_another_subject_or_an_old_one_is_not_taken(change: str) -> None:
    """Data elsewhere, other columns, rows of which one was erased, and what is older than two minutes."""
    clock = FakeClock()
    server = BoundedMemoryStore(10**7, clock)
    await read(sharing(server))
    other = sharing(
        server, place="there" if change == "place" else "here", table=rejects_table() if change == "table" else RECORDS
    )
    if change == "erasure":
        await other.advance()
    if change == "time":
        await other.fake.advance(TTL_S)
    await read(other)
    assert other.lookbacks


@pytest.mark.parametrize("spoil", ["cut", "garbage", "of_another_machine"])
async def test_what_cannot_be_a_chunk_is_read_from_the_store(spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another machine or release wrote."""
    server = BoundedMemoryStore(10**7, FakeClock())
    await read(sharing(server))
    kept = {key: entry.value for key, entry in server._entries.items()}
    for key, value in kept.items():
        await server.set(key, {"cut": value[:-9], "garbage": b"x", "of_another_machine": value}[spoil])
    other = sharing(server)
    if spoil == "of_another_machine":
        monkeypatch.setattr(sys, "byteorder", "middle")
    await read(other)
    assert other.lookbacks


async def test_a_server_out_of_order_costs_queries_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """It is asked once in five seconds."""
    told = sharing(Failing(0, FakeClock()))
    await read(told)
    assert told.lookbacks
    assert caplog.text.count("shared chunks are unavailable") == 1


async def test_a_chunk_beyond_what_was_asked_for_is_not_taken() -> None:
    """It would overlap what is at hand, or reach beyond the horizon of an instance whose clock is behind."""
    told = sharing(BoundedMemoryStore(10**7, FakeClock()))
    table = told.source._tables["records"]
    assert table._others is not None
    whole = TimeRange(T0_US, T0_US + 100)
    await table._others.put(Chunk(whole.from_us, whole.to_us, ()), keys_of(whole, []))
    assert await table._from_others(TimeRange(T0_US, T0_US + 99)) is None
    found = await table._from_others(whole)
    assert found is not None
    assert found.chunk.to_us == whole.to_us
