"""The service as several real processes, each of which can be ended by a signal and comes back."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sluice.testing.pace import patience_s
from tests.long.ledger import Stop
from tests.support.process import Process, start

_MOST_COMPLAINTS = 100
_GIVEN_UP_AFTER_S = patience_s(60.0)


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
        self.running = await start(self._numbers, **self._settings)
        await self.running.line_with("listening")
        self.url = self.running.url
        self._reading = asyncio.create_task(self._read(self.running))

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
            assert self.running is not None
            assert self._reading is not None
            process, began_s = self.running.process, time.monotonic()
            if process.returncode is not None:
                self.complaints.append(f"it ended by itself, with status {process.returncode}")
                number = signal.SIGKILL
            else:
                process.send_signal(number)
            _, pending = await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=_GIVEN_UP_AFTER_S)
            if pending:
                await self.running.kill()
            stop = Stop(self.number, process.returncode or 0, time.monotonic() - began_s)
            await self._reading
            if again:
                await self.up()
            return stop if number == signal.SIGTERM else None

    async def down(self) -> None:
        async with self._changing:
            if self.running is not None and self.running.process.returncode is None:
                await self.running.kill()
            if self._reading is not None:
                await self._reading

    async def _read(self, process: Process) -> None:
        assert process.process.stdout is not None
        for line in process.said:
            self._note(line)
        while text := await process.process.stdout.readline():
            self._note(text.decode(errors="replace"))

    def _note(self, line: str) -> None:
        is_bad = not line.startswith("{") or any(f'"severity":"{each}"' in line for each in ("ERROR", "CRITICAL"))
        if is_bad and len(self.complaints) < _MOST_COMPLAINTS:
            self.complaints.append(line.rstrip())


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
