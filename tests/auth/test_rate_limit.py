"""How often a principal may read: the count, the headers, and what happens while Valkey is away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import pytest

from app.auth.grants import ALL_SCOPES, LOCAL_PRINCIPAL, Principal
from app.auth.rate_limit import ANSWER_WITHIN_S, OwnCount, RateLimit, RateLimitStatus, SharedCount
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS
from app.runtime.valkey import connect
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from tests.valkey_server import ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]
TWICE = Principal("twice", ALL_SCOPES, requests_per_minute=2)


def at(second: int) -> FakeClock:
    """Return a clock that stands at this second of a minute."""
    return FakeClock(1_700_000_040 * MICROSECONDS + second * MICROSECONDS)


async def test_a_principal_has_its_requests_in_each_minute() -> None:
    """The one that is too many is refused until the next minute of the clock begins."""
    clock = at(23)
    limit = RateLimit(OwnCount(), clock)
    for _ in range(2):
        await limit.admit(TWICE, {})
    state: dict[str, Any] = {}
    with pytest.raises(ProblemError) as refused:
        await limit.admit(TWICE, state)
    assert (refused.value.code, refused.value.status) == ("rate_limited", 429)
    assert refused.value.members == {"limit": 2, "window_s": 60, "retry_after_s": 37}
    assert refused.value.headers == {"Retry-After": "37"}
    assert state == {"rate_limit": RateLimitStatus(2, 3, 37)}
    await clock.advance(37)
    await limit.admit(TWICE, {})


async def test_principals_are_counted_apart_and_some_not_at_all() -> None:
    """One that uses up its requests takes nothing from another."""
    limit = RateLimit(OwnCount(), at(0))
    for principal in (TWICE, Principal("other", ALL_SCOPES, requests_per_minute=2)):
        for _ in range(2):
            await limit.admit(principal, {})
    state: dict[str, Any] = {}
    for _ in range(100):
        await limit.admit(LOCAL_PRINCIPAL, state)
    assert state == {}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (RateLimitStatus(1_200, 1, 37), '"default";r=1199;t=37'),
        (RateLimitStatus(1_200, 1_200, 1), '"default";r=0;t=1'),
        (RateLimitStatus(1_200, 5_000, 60), '"default";r=0;t=60'),
    ],
)
def test_the_headers_are_those_of_the_draft(status: RateLimitStatus, told: str) -> None:
    """The policy, and what is left of it."""
    assert status.headers() == [(b"ratelimit-policy", b'"default";q=1200;w=60'), (b"ratelimit", told.encode())]


async def test_an_instances_own_count_forgets_the_minute_before() -> None:
    """It never holds more than the principals of one minute."""
    count = OwnCount()
    for name in ("a", "b", "a"):
        await count.add(name, 1)
    assert await count.add("a", 2) == 1
    assert set(count._counts) == {"a"}


@pytest.fixture
async def shared(valkey_server: ValkeyServer) -> AsyncIterator[tuple[SharedCount, SharedCount]]:
    """Give the counts of two instances in one Valkey."""
    clients = connect(valkey_server.url), connect(valkey_server.url)
    yield SharedCount(clients[0], FakeClock()), SharedCount(clients[1], FakeClock())
    for client in clients:
        await client.aclose()


async def test_instances_share_one_count_in_valkey(shared: tuple[SharedCount, SharedCount]) -> None:
    """Whichever instance a request comes to; a name may hold any character."""
    names = ["reader@example.com", "a:b", "é"]
    counts = [[await count.add(name, 7) for count in (*shared, *shared)] for name in names]
    assert counts == [[1, 2, 3, 4]] * 3
    assert await shared[0].add(names[0], 8) == 1


async def test_counts_in_valkey_end_by_themselves(shared: tuple[SharedCount, SharedCount]) -> None:
    """Nothing is left of a minute soon after it."""
    await shared[0].add("a", 7)
    await shared[0].add("a", 7)
    assert 60 <= await shared[0]._client.ttl("sluice:requests:7:a") <= 120


async def test_a_hundred_requests_at_once_are_counted_once_each(shared: tuple[SharedCount, SharedCount]) -> None:
    """Two requests never have the same number."""
    counts = await asyncio.gather(*(shared[number % 2].add("a", 7) for number in range(100)))
    assert sorted(counts) == list(range(1, 101))


async def test_a_valkey_that_hangs_holds_up_nobody_and_is_used_again_when_it_answers(
    hurried_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests are counted here meanwhile."""
    clock = FakeClock()
    client = connect(hurried_valkey.url)
    count = SharedCount(client, clock)
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
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await client.aclose()


async def test_the_address_of_a_valkey_that_fails_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a password. The requests are counted here."""
    client = Mock(pipeline=Mock(side_effect=ConnectionError("valkey://user:secret@10.0.0.3 refused")))
    count = SharedCount(client, FakeClock())
    assert [await count.add("a", 7) for _ in range(3)] == [1, 2, 3]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "secret" not in caplog.text
