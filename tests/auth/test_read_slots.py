"""The responses that are made and sent at once: so many in all, and never all of them for one caller."""

import asyncio
from typing import Any

import pytest

from app.auth.read_slots import ReadSlots, release_slot, slot_released
from app.http.problems import ProblemError
from app.runtime.clock import SystemClock
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, running
from tests.sse import reading, until


def slots_of(most: int, patience_s: float = 0.01) -> ReadSlots:
    """Return slots that nobody waits long for."""
    return ReadSlots(most, FakeClock(), patience_s)


async def entered(slots: ReadSlots, caller: str, count: int = 1) -> list[Any]:
    """Take slots; return the scopes of the requests that have them."""
    scopes: list[Any] = [{"state": {}} for _ in range(count)]
    for scope in scopes:
        await slots.enter(caller, scope["state"])
    return scopes


@pytest.mark.parametrize(("most", "share"), [(1, 1), (2, 2), (3, 3), (4, 3), (32, 24)])
async def test_one_caller_has_three_quarters_at_most(most: int, share: int) -> None:
    """Of few slots it may have all: there is nothing to keep for others. The refusal says whose limit it was."""
    slots = slots_of(most)
    await entered(slots, "a", share)
    with pytest.raises(ProblemError, match=f"^a has {share} reads in progress") as refused:
        await entered(slots, "a")
    assert refused.value.members == {"max_reads": most, "retry_after_s": 5}
    if share < most:
        await entered(slots, "b", most - share)
        with pytest.raises(ProblemError, match=f"^this instance has {most} reads in progress"):
            await entered(slots, "c")


async def test_a_request_waits_for_a_slot() -> None:
    """It gets the first one that is given back; one that gave up waiting holds none."""
    slots = slots_of(1, patience_s=60)
    (first,) = await entered(slots, "a")
    given_up, waiting = asyncio.create_task(entered(slots, "b")), asyncio.create_task(entered(slots, "c"))
    await asyncio.sleep(0)
    given_up.cancel()
    release_slot(first)
    release_slot(first)  # once is enough, and twice is no more
    (second,) = await waiting
    assert slots.taken == 1
    release_slot(second)
    await entered(slots, "b")


async def test_a_request_that_waits_for_rows_has_no_slot() -> None:
    """It takes one again for its response."""
    slots = slots_of(1)
    (scope,) = await entered(slots, "a")
    async with slot_released(scope):
        (other,) = await entered(slots, "b")
        release_slot(other)
    assert slots.taken == 1
    with pytest.raises(ProblemError):
        async with slot_released(scope):
            await entered(slots, "b")
    release_slot(scope)


async def test_a_read_keeps_its_slot_until_its_response_is_sent() -> None:
    """However long its client takes; then the slot is free."""
    async with running(SETTINGS) as service:
        assert (await service.client.post("/v1/records", json=GOOD)).status_code == 201
        assert service.app.instance.query is not None
        slots = service.app.instance.query._slots
        async with reading(service.app, "/v1/records") as stream:
            stream.reads.clear()
            assert isinstance(service.clock, FakeClock)
            await until(lambda: slots.taken == 1, service.clock)
            stream.reads.set()
            await stream.handling
        assert (stream.status, slots.taken) == (200, 0)


async def test_a_stop_waits_for_responses_and_says_what_it_cuts_short(caplog: pytest.LogCaptureFixture) -> None:
    """Those that are sent within the grace are waited for."""
    slots = ReadSlots(2, SystemClock())
    quick, slow = await entered(slots, "a", 2)
    stopping = asyncio.create_task(slots.drain(0.2))
    await asyncio.sleep(0)
    release_slot(quick)
    await stopping
    assert "1 responses are cut short: their clients have not read them" in caplog.text
    caplog.clear()
    release_slot(slow)
    await slots.drain(0.2)
    assert not caplog.text
