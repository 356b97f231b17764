"""How often a principal may read: the count, the headers, and what happens while Valkey is away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from unittest.mock import Mock

import pytest

from app.auth.limits import ANSWER_WITHIN_S, RequestCount
from app.runtime.valkey import connect
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from tests.valkey_server import ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]


async def test_an_instances_own_count_forgets_the_minute_before() -> None:
    """It never holds more than the principals of one minute."""
    count = RequestCount(FakeClock())
    for name in ("a", "b", "a"):
        await count.add(name, 1)
    assert await count.add("a", 2) == 1
    assert set(count._counts) == {"a"}


@pytest.fixture
async def shared(valkey_server: ValkeyServer) -> AsyncIterator[tuple[RequestCount, RequestCount]]:
    """Give the counts of two instances in one Valkey."""
    clients = connect(valkey_server.url), connect(valkey_server.url)
    yield RequestCount(FakeClock(), clients[0]), RequestCount(FakeClock(), clients[1])
    for client in clients:
        await client.aclose()


async def test_counts_in_valkey_end_by_themselves(shared: tuple[RequestCount, RequestCount]) -> None:
    """Nothing is left of a minute soon after it."""
    await shared[0].add("a", 7)
    await shared[0].add("a", 7)
    assert shared[0]._client is not None
    assert 60 <= await shared[0]._client.ttl("sluice:requests:7:a") <= 120


async def test_a_valkey_that_hangs_holds_up_nobody_and_is_used_again_when_it_answers(
    hurried_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests are counted here meanwhile."""
    clock = FakeClock()
    client = connect(hurried_valkey.url)
    count = RequestCount(clock, client)
    assert [await count.add("a", 7) for _ in range(2)] == [1, 2]
    for away, back in ((hurried_valkey.pause, hurried_valkey.resume), (hurried_valkey.stop, hurried_valkey.start)):
        away()
        async with asyncio.timeout(patience_s(10 * ANSWER_WITHIN_S)):
            first = await count.add("b", 7)
            assert await count.add("b", 7) == first + 1
        back()
        await clock.advance(5)
        alone = first + 1
        while (latest := await count.add("b", 7)) > alone:  # until Valkey, which has not heard of them, counts again
            alone = latest
            await clock.advance(5)
        assert latest <= 2
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    await client.aclose()


async def test_the_address_of_a_valkey_that_fails_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a password. The requests are counted here."""
    client = Mock(pipeline=Mock(side_effect=ConnectionError("valkey://user:secret@10.0.0.3 refused")))
    count = RequestCount(FakeClock(), client)
    assert [await count.add("a", 7) for _ in range(3)] == [1, 2, 3]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "secret" not in caplog.text
