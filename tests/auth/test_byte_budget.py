"""Budgets of billed bytes: what is charged to whom, when reads are refused, and that instances share what they know."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.auth.byte_budget import STATE, ByteBudget, Statuses, context_of_the_payer
from app.auth.principal import ALL_SCOPES, Principal
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import DAY_US, HOUR_US
from app.runtime.valkey import connect
from app.settings.fields import MIB
from app.settings.query import QuerySettings
from sluice.testing.clock import FakeClock
from tests.valkey_server import ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]
NONE = {"instance_bytes_per_hour": 0, "instance_bytes_per_day": 0}
NOON_US = 1_700_000_000 * MICROSECONDS // DAY_US * DAY_US + DAY_US // 2


class Door:
    """Budgets, and reads of named callers that are billed so many MiB."""

    def __init__(self, *, server: Any = None, **limits: int) -> None:
        self.clock, self.refusals = FakeClock(NOON_US), Counter[str]()
        limits = {name: mib * MIB for name, mib in limits.items()}
        settings = msgspec.structs.replace(QuerySettings(), **NONE | limits)
        self.budget = ByteBudget(settings, self.clock, server, self.refusals)
        self.left: Statuses = list

    async def read(self, caller: str, size: int) -> ProblemError | None:
        """Return why a read is refused; None once it was billed, in a task of its own as every request is."""

        async def request() -> ProblemError | None:
            state: dict[str, Any] = {}
            try:
                self.budget.admit(Principal(caller, ALL_SCOPES), state)
            except ProblemError as refused:
                return refused
            finally:
                self.left = state[STATE]
            await asyncio.create_task(self.budget.charge(size * MIB))  # as a chunk is read for a page
            return None

        return await asyncio.create_task(request())


READS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 3 * HOUR_US // MICROSECONDS)), max_size=30
)


@given(reads=READS, limits=st.tuples(*[st.integers(0, 150)] * 4))
def test_a_read_is_refused_exactly_while_a_sum_is_used_up(
    reads: list[tuple[str, int, int]], limits: tuple[int, int, int, int]
) -> None:
    """The twin keeps every charge and adds up those of the window, of the caller or of all."""
    names = ("caller_bytes_per_hour", "caller_bytes_per_day", "instance_bytes_per_hour", "instance_bytes_per_day")

    async def play() -> None:
        door, charges = Door(**dict(zip(names, limits, strict=True))), list[tuple[str, int, int]]()
        for caller, size, pause_s in reads:
            await door.clock.advance(pause_s)
            now_us = door.clock.now_us()
            used_up = False
            for name, limit in zip(names, limits, strict=True):
                window_us = HOUR_US if name.endswith("hour") else DAY_US
                used = sum(
                    billed
                    for who, billed, at_us in charges
                    if at_us // window_us == now_us // window_us and (who == caller or name.startswith("instance"))
                )
                used_up |= bool(limit) and used >= limit
            refused = await door.read(caller, size)
            assert (refused is not None) is used_up
            if refused is None:
                charges.append((caller, max(size, 10), now_us))  # BigQuery bills 10 MB at least

    asyncio.run(play())


async def test_the_refusal_says_what_was_used_and_when_to_come_back() -> None:
    """The caller's budget is in the headers of every answer; the instance's is nobody else's concern."""
    door = Door(caller_bytes_per_hour=100, instance_bytes_per_day=1_000)
    assert await door.read("a", 130) is None
    assert door.left()[0].headers() == [
        (b"ratelimit-policy", b'"bytes-per-hour";q=104857600;w=3600'),
        (b"ratelimit", b'"bytes-per-hour";r=0;t=3600'),
    ]
    await door.clock.advance(600.5)
    refused = await door.read("a", 1)
    assert refused is not None
    assert (refused.code, refused.status, refused.headers) == ("byte_budget_used_up", 429, {"Retry-After": "3000"})
    bytes_told = {"limit_bytes": 100 * MIB, "used_bytes": 130 * MIB}
    assert refused.members == {**bytes_told, "window_s": 3_600, "retry_after_s": 3_000}
    assert "the caller's reads" in refused.detail
    assert dict(door.left()[0].headers())[b"ratelimit"] == b'"bytes-per-hour";r=0;t=3000'
    assert await door.read("b", 900) is None
    refused = await door.read("c", 1)
    assert refused is not None
    assert "this instance's reads" in refused.detail
    assert door.refusals == {"caller": 1, "instance": 1}


async def test_the_services_own_reads_are_the_instances_and_no_callers() -> None:
    """A canary is looked for by nobody."""
    door = Door(caller_bytes_per_hour=1, instance_bytes_per_hour=100)
    assert door.left() == []
    await door.budget.charge(100 * MIB)
    refused = await door.read("a", 1)
    assert refused is not None
    assert refused.members["limit_bytes"] == 100 * MIB


async def test_instances_add_up_what_their_callers_were_billed(valkey_server: ValkeyServer) -> None:
    """Through a real server; each learns of the others with its own next query. Without it each knows its own."""
    one, other = connect(valkey_server.url), connect(valkey_server.url)
    async with one, other:
        first, second = (Door(server=client, caller_bytes_per_day=100) for client in (one, other))
        assert await first.read("a", 60) is None
        assert await second.read("a", 60) is None
        assert await second.read("a", 10) is not None
        assert await first.read("a", 10) is None
        assert await first.read("a", 1) is not None
        valkey_server.stop()
        assert await first.read("b", 99) is None
        assert await first.read("b", 1) is None
        assert await first.read("b", 1) is not None


async def test_concurrent_charges_all_count_however_the_server_answers() -> None:
    """Also if it answers the later one first, if the hour is over by then, and if the caller has left."""
    answers = [asyncio.get_running_loop().create_future() for _ in range(3)]

    class Slow:
        async def add(self, *_: object) -> int:
            return int(await waiting.pop(0))

    door, waiting = Door(caller_bytes_per_hour=100, instance_bytes_per_hour=1_000), [*answers]
    door.budget._shared = Slow()  # type: ignore[assignment] # as far as it is used
    reads = [asyncio.create_task(door.read("a", size)) for size in (40, 30, 20)]
    while waiting:  # noqa: ASYNC110 - a condition on a list, which has no event
        await asyncio.sleep(0)
    reads[2].cancel()
    await asyncio.gather(reads[2], return_exceptions=True)
    answers[1].set_result(0)
    answers[0].set_result(0)
    assert await asyncio.gather(*reads[:2]) == [None, None]
    assert [status.used for status in door.left()] == [90 * MIB]
    late = asyncio.create_task(door.read("a", 0))
    answers.append(asyncio.get_running_loop().create_future())
    waiting.append(answers[-1])
    while waiting:  # noqa: ASYNC110 - a condition on a list, which has no event
        await asyncio.sleep(0)
    await door.clock.advance(3_600)
    answers[-1].set_result(90 * MIB)
    assert await late is None
    assert [status.used for status in door.left()] == [0]


async def test_what_outlives_a_request_is_still_paid_by_its_caller() -> None:
    """As the poll of a tail is, which reads for all subscribers."""
    door = Door(caller_bytes_per_hour=100)

    async def subscribe() -> None:
        door.budget.admit(Principal("a", ALL_SCOPES), {})
        work = asyncio.create_task(door.budget.charge(100 * MIB), context=context_of_the_payer())
        await work

    await asyncio.create_task(subscribe())
    assert await door.read("b", 1) is None
    assert await door.read("a", 1) is not None
