"""One table's trouble is one stream's: the others keep their answers, and what they may have in flight."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec
from msgspec import Meta

from app.ingest.intake import MESSAGE_BYTES
from app.schema.table import Table
from app.stores.sink import Appender, Outcome, SetupError, SinkState, Stored, Uncertain
from sluice.testing.clock import FakeClock
from sluice.testing.service import SETTINGS, Service, running
from tests.streams.service import push_to


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each of the ten streams stores."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]


TEN = {f"s{number}": Event for number in range(10)}
SICK, WELL = "s0", [f"s{number}" for number in range(1, 10)]
PLACES = 40
"""So few in flight that one stream could take them all: three quarters for the one account that pushes."""


class Ailing:
    """The appender of the sick stream: each append has `outcome`, or hangs until it is released."""

    def __init__(self, appender: Appender, outcome: Outcome | None) -> None:
        self._appender, self._outcome, self.hung = appender, outcome, asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        """Leave the rest to the appender."""
        return getattr(self._appender, name)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Fail, or hang."""
        if self._outcome is None:
            await self.hung.wait()
            return Uncertain("released")
        return self._outcome

    async def check(self) -> SetupError | Stored | None:
        """Find what the appends find."""
        return self._outcome if isinstance(self._outcome, SetupError) else None


@asynccontextmanager
async def ailing(outcome: Outcome | None) -> AsyncIterator[tuple[Service, FakeClock]]:
    """Run ten streams, one of which is sick."""

    def wrap(table: Table, appender: Appender) -> Appender:
        return Ailing(appender, outcome) if table.name == SICK else appender

    clock = FakeClock()
    settings = SETTINGS.replace(streams=f"{__name__}:TEN", max_in_flight_bytes=PLACES * MESSAGE_BYTES)
    async with running(settings, clock, wrap) as service:
        yield service, clock


async def push(service: Service, stream: str, number: int) -> httpx.Response:
    """Push one event."""
    return await push_to(service, stream, b'{"id":"e%d"}' % number, f"{stream}-{number}")


async def test_a_stream_that_hangs_leaves_the_others_their_answers() -> None:
    """It holds its share and no more; beyond that its own senders are told to slow down, and nobody else is."""
    async with ailing(None) as (service, clock):
        hanging = [asyncio.create_task(push(service, SICK, number)) for number in range(PLACES)]
        await clock.advance(0.1)
        throttled = [task.result() for task in hanging if task.done()]
        assert {answer.status_code for answer in throttled} == {429}
        assert f"too many messages of the stream {SICK} are in flight" in throttled[0].json()["detail"]
        held = PLACES - len(throttled)
        assert 0 < held <= PLACES * 3 // 4 // 2
        begun_us = clock.elapsed_us()
        for number in range(5):
            answers = await asyncio.gather(*(push(service, stream, number) for stream in WELL))
            assert {answer.status_code for answer in answers} == {204}
        assert clock.elapsed_us() == begun_us  # nobody waited for a time-out
        ready = (await service.client.get("/health/ready")).json()["sinks"]
        assert {name for name, sink in ready.items() if sink["waiting"]} <= {SICK}
        await clock.advance(60)
        late = [task.result().status_code for task in hanging if task.result() not in throttled]
        assert late == [503] * held


async def test_unroutable_messages_do_not_depend_on_the_default_table() -> None:
    """They are rows of the rejects, whatever has happened to the first stream."""
    async with ailing(SetupError(SinkState.NOT_FOUND, "there is no table")) as (service, clock):
        sick = asyncio.create_task(push(service, SICK, 1))
        await clock.advance(40)
        assert (await sick).status_code == 503
        assert (await service.push({"id": "x"}, message_id="7", stream="s")).status_code == 204
