"""However rows are stored, connections break and clients dawdle: each record is delivered once, and in order."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.answer.tail import PING_S
from app.query.request.scan import position_of
from app.stores.source import StoreBusyError
from tests.contract.stores import T0_US
from tests.query.tail_stage import POLL_S, Listener, Stage
from tests.query.test_tail import at

CLIENTS = 3


class Play:
    """Clients that connect, dawdle and go, over rows that come in any order behind the horizon."""

    def __init__(self, starts: Sequence[int]) -> None:
        self.stage = Stage(tail_max_s=60)
        self.sheet = self.stage.sheet
        self.sheet.number = 0 if sum(starts) % 2 else None  # every other store knows of its new rows
        self.listeners = [Listener(at(start)) for start in starts]

    async def store(self, offsets: list[int]) -> None:
        self.sheet.put(*(self.sheet.settled_us - T0_US + offset for offset in offsets), settle=False)

    async def settle(self, length_us: int) -> None:
        """Move the horizon on."""
        self.sheet.settled_us += length_us
        if self.sheet.number is not None:
            self.sheet.number += 1  # rows that were there already may be settled now

    async def pass_time(self, seconds: float) -> None:
        await self.stage.turn(seconds)

    async def pass_moments(self, count: int) -> None:
        """Let everybody take so many steps."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def hang_up(self, which: int, part: float) -> None:
        if self.listeners[which].task is not None:
            await self.listeners[which].hang_up(part)

    async def connect(self, which: int) -> None:
        listener = self.listeners[which]
        if listener.has_ended():
            await listener.hang_up(1.0)
        if listener.task is None:
            self.stage.connect(listener)

    async def dawdle(self, which: int) -> None:
        """Let a client read no further."""
        self.listeners[which].reads.clear()

    async def read_on(self, which: int) -> None:
        self.listeners[which].read()

    async def fail(self) -> None:
        self.sheet.failure = StoreBusyError("busy")

    async def fall_silent(self) -> None:
        """Let the store give no answer."""
        self.sheet.answers.clear()

    async def mend(self) -> None:
        self.sheet.failure = None
        self.sheet.answers.set()

    async def finish(self) -> None:
        """Let everything settle, and everybody read to the end."""
        await self.mend()
        await self.settle(1_000)
        for which in range(len(self.listeners)):
            await self.read_on(which)
            await self.connect(which)
        await self.stage.turn(POLL_S)
        for which in range(len(self.listeners)):  # the time of one may have been over meanwhile
            await self.connect(which)
        await self.stage.turn(POLL_S)

    def check(self) -> None:
        """Compare what each client got with the rows from its start on."""
        for listener in self.listeners:
            rows = [row for row in self.sheet.rows if position_of(row) > listener.start]
            assert listener.keys == [row["id"] for row in rows]


_WHICH = st.integers(0, CLIENTS - 1)
_STEPS = st.one_of(
    st.tuples(st.just(Play.store), st.lists(st.integers(0, 40), min_size=1, max_size=9)),
    st.tuples(st.just(Play.settle), st.integers(1, 60) | st.just(3_600_000_000)),
    st.tuples(st.just(Play.pass_time), st.sampled_from([POLL_S, POLL_S / 2, 2.0, PING_S])),
    st.tuples(st.just(Play.pass_moments), st.integers(1, 12)),
    st.tuples(st.just(Play.hang_up), _WHICH, st.sampled_from([0.0, 0.3, 0.8, 1.0])),
    st.tuples(st.sampled_from([Play.connect, Play.dawdle, Play.read_on]), _WHICH),
    st.tuples(st.sampled_from([Play.fail, Play.fall_silent, Play.mend])),
)


@given(starts=st.lists(st.integers(0, 100), min_size=CLIENTS, max_size=CLIENTS), steps=st.lists(_STEPS, max_size=40))
def test_each_record_is_delivered_once_and_in_order(starts: list[int], steps: list[tuple[Any, ...]]) -> None:
    """Across any number of connections, by nothing but the last event's id."""

    async def play() -> None:
        scene = Play(starts)
        for which in range(CLIENTS):
            await scene.connect(which)
        for what, *how in steps:
            await what(scene, *how)
        await scene.finish()
        scene.check()
        for listener in scene.listeners:
            await listener.hang_up()
        assert scene.stage.is_idle

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.query.answer.tail.MAX_LIMIT", 2)
        asyncio.run(play())
