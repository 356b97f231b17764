"""How other instances learn of an erasure."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from app.stores.bigquery.source import LABEL, LEARN_EVERY_S, BigQueryEraser
from app.stores.erasures import ERASURES, ErasedRecord, erasures_table, record_erasure
from app.stores.sink import Stored
from app.stores.source import StoreUnavailableError
from sluice.testing.clock import FakeClock
from tests.stores.memory.store import MemoryAppender, MemoryStore


class Client:
    """The client of a dataset with one table, whose labels it has."""

    def __init__(self) -> None:
        self.labels = {"team": "data"}

    def get_table(self, _: str, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(labels=dict(self.labels))

    def update_table(self, table: SimpleNamespace, fields: list[str], **_: Any) -> None:
        assert fields == ["labels"]
        self.labels = table.labels


ERASED = ErasedRecord(stream="records", digest="d", until=datetime(2026, 1, 31, tzinfo=UTC))


async def test_another_instance_learns_of_an_erasure() -> None:
    """From a label of the table, within a minute, and keeps the labels that others have set."""
    stored = defaultdict[str, list[Any]](list)
    client, clock = Client(), FakeClock(now_us=1_700_000_000_000_000)
    runners = (cast("Any", SimpleNamespace(erasures=0)) for _ in range(2))
    access = cast("Any", SimpleNamespace(place=SimpleNamespace(table_id=str), client=lambda: client))
    appender = MemoryAppender(MemoryStore([], clock, stored), erasures_table())
    one, other = (BigQueryEraser(runner, access, "records", clock, appender) for runner in runners)
    learning = asyncio.create_task(other.learn())
    await one.advance(ERASED)
    assert [row["digest"] for row in stored[ERASURES]] == ["d"]
    assert client.labels == {"team": "data", LABEL: str(one.generation)}
    async with asyncio.timeout(60):
        while other.generation != one.generation:
            await clock.advance(LEARN_EVERY_S)
    first = one.generation
    await one.advance(ERASED)
    assert one.generation > first
    learning.cancel()


async def test_an_erasure_that_readers_may_have_passed_is_stored_again() -> None:
    """Under another key; one that comes too late again and again is not claimed."""
    late = Stored(late=True)
    appender = Mock(append=AsyncMock(side_effect=[late, Stored(), *[late] * 3]))
    appender.encoder.return_value = lambda _record, _index, key: key
    await record_erasure(appender, ERASED)
    assert len({row for each in appender.append.await_args_list for row in each.args[0]}) == 2
    with pytest.raises(StoreUnavailableError, match="too late"):
        await record_erasure(appender, ERASED)
