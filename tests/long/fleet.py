"""The service as several real processes, each of which can be ended by a signal and comes back."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

from sluice.testing.pace import patience_s
from tests.long.ledger import Stop
from tests.support.process import Process, start

_LISTENS_WITHIN_S = patience_s(60.0)
_GIVEN_UP_AFTER_S = patience_s(60.0)


class _Line(msgspec.Struct):
    severity: str
    message: str


class Instance:
    """One place of the fleet: the process that runs there now, or did until just now."""

    def __init__(
        self, number: int, settings: Mapping[str, str], numbers: Mapping[str, float | str] | None = None
    ) -> None:
        self.number, self._settings, self._numbers = number, settings, numbers
        self.running: Process | None = None
        self.url = ""
        self.complaints: list[str] = []
        """What it logged as an error, or in another form than its log's."""
        self._changing = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    async def up(self) -> None:
        """Start it, and wait until it listens."""
        process = await start(self._numbers, **self._settings)
        self.running = process
        listening = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(process, listening))
        await asyncio.wait([listening, self._reading], timeout=_LISTENS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        assert listening.done(), f"instance {self.number} did not begin to listen: {self.complaints}"
        self.url = process.url

    @property
    def pid(self) -> int:
        """The process that runs there."""
        assert self.running is not None
        return self.running.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, and leave it as it is."""
        os.kill(self.pid, number)

    async def end(self, number: signal.Signals, *, again: bool = True) -> Stop | None:
        """End it by a signal and start it `again`; return how it ended if that was SIGTERM."""
        async with self._changing:
            process = self.running
            assert process is not None
            if process.process.returncode is not None:
                self.complaints.append(f"it ended by itself, with status {process.process.returncode}")
                await self._read_out()
                await self.up()
                return None
            began_s = time.monotonic()
            process.process.send_signal(number)
            try:
                async with asyncio.timeout(_GIVEN_UP_AFTER_S):
                    status = await process.process.wait()
            except TimeoutError:
                await process.kill()
                status = -signal.SIGKILL
            seconds = time.monotonic() - began_s
            await self._read_out()
            if again:
                await self.up()
            return Stop(self.number, status, seconds) if number == signal.SIGTERM else None

    async def down(self) -> None:
        async with self._changing:
            if self.running is not None and self.running.process.returncode is None:
                await self.running.kill()
            await self._read_out()

    async def _read_out(self) -> None:
        if self._reading is not None:
            await self._reading

    async def _read(self, process: Process, listening: asyncio.Future[None]) -> None:
        assert process.process.stdout is not None
        while text := await process.process.stdout.readline():
            try:
                line = msgspec.json.decode(text, type=_Line)
            except msgspec.DecodeError:
                line = _Line("ERROR", text.decode(errors="replace").rstrip())
            if line.message.startswith("listening"):
                listening.set_result(None)
            if line.severity in {"ERROR", "CRITICAL"} and len(self.complaints) < 100:
                self.complaints.append(line.message)


class Fleet:
    """The instances of a run."""

    def __init__(self, instances: list[Instance]) -> None:
        self.instances = instances
        self.stops: list[Stop] = []
        self.kills = 0

    def url(self, dice: random.Random) -> str:
        """Return the address of one of them, whether it is up or not: a load balancer learns late, too."""
        return dice.choice(self.instances).url

    async def end(self, instance: int, number: signal.Signals, *, again: bool = True) -> None:
        """End one by a signal, and wait until it is up `again`."""
        self.kills += 1
        stop = await self.instances[instance].end(number, again=again)
        if stop is not None:
            self.stops.append(stop)


@asynccontextmanager
async def fleet(
    size: int, settings: Mapping[str, str], numbers: Mapping[str, float | str] | None = None
) -> AsyncIterator[Fleet]:
    """Run a fleet until the block ends; settings and numbers are those of tests.support.process.start."""
    instances = [Instance(number, settings, numbers) for number in range(size)]
    try:
        await asyncio.gather(*(instance.up() for instance in instances))
        yield Fleet(instances)
    finally:
        await asyncio.gather(*(instance.down() for instance in instances))
