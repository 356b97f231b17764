import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from app.auth.key_set import COOL_DOWN_S, STALE_S, FetchedKeys, KeySet, KeySetError
from sluice.testing.clock import FakeClock
from sluice.testing.tokens import key_pair

_PEM = key_pair()[1]


class Issuer:
    """An issuer's endpoint that answers as a test says: keys, an error, or nothing until it is let go."""

    def __init__(self, *names: str, max_age_s: float = 1_000.0) -> None:
        self.names, self.max_age_s = names, max_age_s
        self.fetches = 0
        self.failing = False
        self.error: Exception = KeySetError("https://issuer.test: unreachable")
        self.answering = asyncio.Event()
        self.answering.set()

    async def fetch(self) -> FetchedKeys:
        self.fetches += 1
        await self.answering.wait()
        if self.failing:
            raise self.error
        return FetchedKeys(dict.fromkeys(self.names, _PEM), self.max_age_s)


@asynccontextmanager
async def running(keys: KeySet) -> AsyncIterator[None]:
    """Keep `keys` fresh until the block ends."""
    task = asyncio.ensure_future(keys.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_keys_are_refreshed_before_their_age_ends() -> None:
    """The background refresh comes at four fifths of the age that Cache-Control allows, again and again."""
    issuer, clock = Issuer("a", max_age_s=1_000.0), FakeClock()
    async with running(KeySet(issuer.fetch, clock)):
        await clock.advance(799)
        assert issuer.fetches == 1
        issuer.max_age_s = 100.0
        await clock.advance(2)
        assert issuer.fetches == 2
        await clock.advance(79)
        assert issuer.fetches == 3


async def test_failures_keep_the_old_keys_and_back_off(caplog: pytest.LogCaptureFixture) -> None:
    """While the issuer cannot be reached the keys at hand go on to serve, and the retries grow apart to a minute."""
    issuer, clock = Issuer("a"), FakeClock()
    keys = KeySet(issuer.fetch, clock)
    async with running(keys):
        await clock.advance(790)
        issuer.failing = True
        await clock.advance(20)
        delays = [record.args[0] for record in caplog.records if isinstance(record.args, tuple)]
        assert delays == [1, 2, 4, 8]
        await clock.advance(3_600)
        assert await keys.find("a") == _PEM
        delays = [record.args[0] for record in caplog.records if isinstance(record.args, tuple)]
        assert delays[4:8] == [16, 32, 60, 60]
        assert set(delays[8:]) == {60}
        issuer.failing = False
        await clock.advance(60)
        fetches = issuer.fetches
        await clock.advance(739)
        assert issuer.fetches == fetches
        issuer.failing = True
        caplog.clear()
        await clock.advance(62)
        first = caplog.records[0].args
        assert isinstance(first, tuple)
        assert first[0] == 1, "the count began anew"


async def test_an_unknown_key_is_asked_for_once_per_cool_down() -> None:
    """Tokens with made-up key ids cannot make the service hammer the issuer."""
    issuer, clock = Issuer("a"), FakeClock()
    keys = KeySet(issuer.fetch, clock)
    await keys.find("a")
    await clock.advance(COOL_DOWN_S)
    for number in range(100):
        assert await keys.find(f"made-up-{number}") is None
    assert issuer.fetches == 2
    await clock.advance(COOL_DOWN_S)
    issuer.names = ("a", "new")
    assert await keys.find("new") == _PEM
    assert issuer.fetches == 3


async def test_concurrent_unknown_keys_share_one_fetch() -> None:
    """Those who ask for a new key while it is being fetched wait for it; nobody is told that it is unknown."""
    issuer, clock = Issuer("a"), FakeClock()
    keys = KeySet(issuer.fetch, clock)
    await keys.find("a")
    await clock.advance(COOL_DOWN_S)
    issuer.names = ("a", "new")
    issuer.answering.clear()
    asked = [asyncio.ensure_future(keys.find("new")) for _ in range(50)]
    await clock.advance(0)
    assert issuer.fetches == 2
    assert await keys.find("a") == _PEM, "a known key waits for nothing"
    issuer.answering.set()
    assert await asyncio.gather(*asked) == [_PEM] * 50
    assert issuer.fetches == 2


async def test_a_caller_that_gives_up_does_not_take_the_fetch_with_it() -> None:
    """The refresh goes on for the others when the request that began it is cancelled."""
    issuer = Issuer("a")
    issuer.answering.clear()
    clock = FakeClock()
    keys = KeySet(issuer.fetch, clock)
    first, second = asyncio.ensure_future(keys.find("a")), asyncio.ensure_future(keys.find("a"))
    await clock.advance(0)
    first.cancel()
    await clock.advance(0)
    issuer.answering.set()
    assert await second == _PEM
    assert issuer.fetches == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_without_any_keys_everybody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """While there is no key set at all, asking raises, at once within the cool-down; then it is fetched again."""
    issuer, clock = Issuer("a"), FakeClock()
    issuer.failing = True
    keys = KeySet(issuer.fetch, clock)
    for _ in range(10):
        with pytest.raises(KeySetError, match="the key set has not been fetched yet"):
            await keys.find("a")
    assert issuer.fetches == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    issuer.failing = False
    await clock.advance(COOL_DOWN_S)
    assert await keys.find("a") == _PEM


async def test_keys_that_cannot_be_refreshed_come_to_an_end() -> None:
    """A day beyond their age they are trusted no more: not ready, and nobody is verified, until there are new ones."""
    issuer, clock = Issuer("a", max_age_s=1_000.0), FakeClock()
    keys = KeySet(issuer.fetch, clock)
    async with running(keys):
        await clock.advance(1)
        issuer.failing = True
        await clock.advance(1_000 + STALE_S - 2)
        ready = [keys.is_ready]
        assert await keys.find("a") == _PEM
        await clock.advance(2)
        ready.append(keys.is_ready)
        with pytest.raises(KeySetError, match="too old"):
            await keys.find("a")
        issuer.failing = False
        await clock.advance(60)
        ready.append(keys.is_ready)
        assert await keys.find("a") == _PEM
        assert ready == [True, False, True]
