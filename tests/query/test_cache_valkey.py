"""Answers that instances share through a real server, and what becomes of them when it goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.query.answer.cache import PAUSE_S, AnswerCache, CachedAnswer, open_store
from app.runtime.valkey import connect
from app.settings.load import SettingsError
from app.settings.query import QuerySettings
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from tests.support.unwatched import environment_of
from tests.valkey_server import ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]
ANSWER = CachedAnswer("json", {"Sluice-Count": "1"}, b"a record" * 10_000)


class Instance:
    """A cache with a client of its own, and how many answers it made."""

    def __init__(self, cache: AnswerCache, clock: FakeClock) -> None:
        self.cache, self.clock, self.made = cache, clock, 0

    async def make(self) -> CachedAnswer:
        self.made += 1
        return ANSWER

    async def state(self, key: str = "key", ttl_s: float = 60.0) -> str:
        answer, state = await self.cache.shared((key,), ttl_s, self.make)
        assert answer == ANSWER
        return state


@asynccontextmanager
async def two_instances(settings: QuerySettings) -> AsyncIterator[tuple[Instance, Instance]]:
    """Run two instances that know the same server."""
    clock = FakeClock()
    one, other = (open_store(settings, clock) for _ in range(2))
    async with aclosing(one), aclosing(other):
        made = [AnswerCache(environment_of(clock), each, lambda: "") for each in (one, other)]
        yield Instance(made[0], clock), Instance(made[1], clock)


@pytest.fixture
async def instances(valkey_server: ValkeyServer) -> AsyncIterator[tuple[Instance, Instance]]:
    """Return two instances that know the same server."""
    async with two_instances(valkey_server.settings) as made:
        yield made


async def test_a_server_that_hangs_is_not_waited_for(hurried_valkey: ValkeyServer) -> None:
    """Neither by a hundred different requests at once nor by those after them; then answers are not mixed up."""
    async with two_instances(hurried_valkey.settings) as (one, _):
        assert await one.state() == "miss"
        hurried_valkey.pause()
        async with asyncio.timeout(
            patience_s(10)
        ):  # one after another, each waiting its quarter of a second, they would take 25 s
            states = await asyncio.gather(*(one.state(f"{number}") for number in range(100)))
            assert [*states, await one.state()] == 101 * ["miss"]
        hurried_valkey.resume()
        await one.clock.advance(PAUSE_S)
        assert await one.state() == "hit"
        assert await asyncio.gather(*(one.state(f"{number}") for number in range(10))) == 10 * ["miss"]
        assert await asyncio.gather(*(one.state(f"{number}") for number in range(10))) == 10 * ["hit"]


async def test_keys_have_a_name_before_them(instances: tuple[Instance, Instance], valkey_server: ValkeyServer) -> None:
    """A server may serve others as well; an entry does not outlive its answer."""
    await instances[0].state(ttl_s=1.5)
    client = connect(valkey_server.url)
    async with client:
        (key,) = await client.keys("*")
        assert key.startswith(b"sluice:")
        assert 0 < await client.pttl(key) <= 1_500


async def test_what_others_store_is_no_answer(
    instances: tuple[Instance, Instance], valkey_server: ValkeyServer
) -> None:
    """Not what is stored without the secret, nor an answer under the name of another: it is made and replaced."""
    one, other = instances
    await one.state("one")
    await one.state("another")
    entry = msgspec.msgpack.encode(msgspec.structs.replace(ANSWER, body=b"<script>"))
    client = connect(valkey_server.url)
    async with client:
        names = [name async for name in client.scan_iter("sluice:*")]
        (first, second) = [await client.get(name) for name in names]
        assert b"a record" not in first + second
        forged = bytes(12) + AESGCM(bytes(32)).encrypt(bytes(12), entry, None)
        for values in ((entry, b""), (forged, first[:-1] + b"x"), (second, first)):
            for name, value in zip(names, values, strict=True):
                await client.set(name, value)
            assert [await other.state("one"), await other.state("another")] == ["miss", "miss"]
            assert [await one.state("one"), await one.state("another")] == ["hit", "hit"]


def test_an_address_that_is_none_is_refused_at_once() -> None:
    """And not when the first request comes."""
    with pytest.raises(SettingsError):
        open_store(QuerySettings(cache_url="not an address"), FakeClock())
