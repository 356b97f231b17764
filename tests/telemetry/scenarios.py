"""What a running service counts while it is well, and in each kind of trouble, as the local Telemetry API was sent it.

One service lives through all phases. A phase is what it exported between two collections.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from app.schema.table import Table
from app.stores.backend import Backend, open_backend
from app.stores.sink import Appender, RowsHeld, SetupError, SinkState
from app.stores.source import Answer, StoreUnavailableError
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from sluice.testing.service import CANARY, GOOD, Service, running
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.scripted_runner import MeteredRunner
from tests.telemetry.watched_service import measured

PUBLISHED_US = 1_769_860_800_123_000  # the publish time of sluice.testing.service.envelope
Series = tuple[str, tuple[tuple[str, str], ...]]
Samples = dict[Series, float]
"""The value of each series, as Prometheus names and labels them."""


class Phase(msgspec.Struct, frozen=True):
    """What was exported before and after; gauges are the names of series that are no counters."""

    before: Samples
    after: Samples
    gauges: frozenset[str]


class _Runner(MeteredRunner):
    """A store that a phase slows down."""

    clock: FakeClock
    delay_s = 0.0

    async def rows(self, query: Any) -> Answer:
        if self.delay_s:
            await self.clock.advance(self.delay_s)
        return await super().rows(query)


class _Sink:
    """An Appender that a phase makes fail."""

    state: SinkState | None = None

    def __init__(self, appender: Appender) -> None:
        self._appender = appender

    def __getattr__(self, name: str) -> Any:
        return getattr(self._appender, name)

    async def append(self, *arguments: Any, **named: Any) -> Any:
        if _Sink.state is SinkState.COLUMNS_PENDING:
            return RowsHeld(frozenset(range(len(arguments[0]))), "as the phase wants it")
        if _Sink.state is not None:
            return SetupError(_Sink.state, "as the phase wants it")
        return await self._appender.append(*arguments, **named)


class Recorder:
    """Lives through phases with one service, and keeps what each has exported."""

    def __init__(self, cloud: CloudServer, service: Service, clock: FakeClock, runner: _Runner) -> None:
        self.phases: dict[str, Phase] = {}
        self._cloud, self._service, self._clock, self._runner = cloud, service, clock, runner
        self._number = 0
        self._after: Samples = {}

    async def live(self) -> None:
        """Live through every phase, the well ones first."""
        self._after = await self._exported()
        await self._phase("idle", self._nothing)
        await self._phase("good", self._good)
        await self._phase("rejecting", lambda: self._times(12, lambda: self._push({"id": "bad"})))
        self._runner.bytes_processed = 1_000_000
        await self._phase("expensive", self._reads)
        self._runner.delay_s = 3.0
        await self._phase("slow", self._reads)
        self._runner.delay_s = 0.0
        self._runner.error = StoreUnavailableError("away")
        await self._phase("failing", self._reads)
        await self._phase("unseen", self._unseen_canary)
        self._runner.error = None
        self._clock.advance_to(PUBLISHED_US + 400_000_000)
        await self._phase("late", lambda: self._times(20, self._push))
        await self._phase("late-canaries", self._canary)
        await self._phase("draining", self._drain)
        states = {
            "missing": SinkState.NOT_FOUND,
            "unreachable": SinkState.UNREACHABLE,
            "lacking": SinkState.COLUMNS_PENDING,
        }
        for name, state in states.items():
            _Sink.state = state
            await self._clock.advance(600)  # the pause after the phase before is over
            await self._phase(name, self._push_in_vain)
        _Sink.state = SinkState.UNREACHABLE
        self._runner.error = StoreUnavailableError("away")
        await self._clock.advance(600)
        await self._phase("outage", self._fail)
        _Sink.state = self._runner.error = None

    async def _phase(self, name: str, live: Callable[[], Awaitable[None]]) -> None:
        before = self._after
        await live()
        gauges = frozenset(key.name for key in self._cloud.rules.series if key.kind == "gauge")
        self._after = await self._exported()
        self.phases[name] = Phase(before, self._after, gauges)

    async def _exported(self) -> Samples:
        """Wait for a collection that began after now, and return what has been exported by then."""
        begun = len(self._cloud.rules.serialised)
        await asyncio.to_thread(self._cloud.wait_until, lambda: len(self._cloud.rules.serialised) >= begun + 3)
        assert self._cloud.rules.refused == []
        return samples(self._cloud)

    async def _nothing(self) -> None:
        pass

    async def _times(self, count: int, act: Callable[[], Awaitable[None]]) -> None:
        for _ in range(count):
            await act()

    async def _good(self) -> None:
        await self._times(20, self._push)
        await self._reads()
        for _ in range(12):
            self._number += 1
            record = GOOD | {"id": f"w{self._number}"}
            assert (await self._service.client.post("/v1/records", json=record)).status_code == 201
        await self._service.client.get("/v1/records")
        await self._canary()

    async def _push(self, record: Any = None) -> None:
        self._number += 1
        told = record or GOOD | {"id": f"a{self._number}"}
        assert (await self._service.push(told, message_id=str(self._number))).status_code == 204

    async def _drain(self) -> None:
        await self._times(20, self._push)
        await self._canary()

    async def _fail(self) -> None:
        await self._push_in_vain()
        await self._reads()

    async def _push_in_vain(self) -> None:
        self._number += 1
        pushed = asyncio.ensure_future(self._service.push(GOOD, message_id=str(self._number)))
        async with asyncio.timeout(patience_s(60)):
            while not pushed.done():
                await self._clock.advance(0.5)
                await asyncio.sleep(0.002)
        assert (await pushed).status_code == 503

    async def _reads(self) -> None:
        for number in range(12):
            answer = await self._service.client.get(f"/v1/records/r{number}")
            assert answer.status_code in {404, 503}

    async def _canary(self) -> None:
        """Publish a canary, and wait until the feed has shown it."""
        heard = self._service.app.instance.metrics.canary_delay
        count = _count(heard)
        self._number += 1
        assert (
            await self._service.push(GOOD | {"id": "c"}, message_id=f"c{self._number}", **CANARY)
        ).status_code == 204
        await self._pass_time(lambda: _count(heard) > count, 0.1)

    async def _unseen_canary(self) -> None:
        """Publish a canary that the feed does not show."""
        metrics = self._service.app.instance.metrics
        self._number += 1
        assert (
            await self._service.push(GOOD | {"id": "c"}, message_id=f"c{self._number}", **CANARY)
        ).status_code == 204
        await self._pass_time(lambda: metrics.canaries_missed > 0, 10.0)

    async def _pass_time(self, until: Callable[[], bool], step_s: float) -> None:
        async with asyncio.timeout(patience_s(60)):
            while not until():
                await self._clock.advance(step_s)
                await asyncio.sleep(0.002)


def _count(histogram: Any) -> int:
    return sum(sum(point.counts) for _, point in histogram.points())


def samples(cloud: CloudServer) -> Samples:
    """Return the last value of each series, as Managed Prometheus stores it."""
    found: Samples = {}
    for key, written in [*cloud.rules.series.items()]:
        labels, value = dict(key.labels) | dict(key.resource), written[-1].value
        if key.kind != "histogram":
            found[key.name, tuple(sorted(labels.items()))] = float(value)
            continue
        seen = 0
        for bound, count in zip([*value.explicit_bounds, None], value.bucket_counts, strict=True):
            seen += count
            le = "+Inf" if bound is None else f"{bound:g}"
            found[f"{key.name}_bucket", tuple(sorted((labels | {"le": le}).items()))] = float(seen)
        found[f"{key.name}_sum", tuple(sorted(labels.items()))] = value.sum
        found[f"{key.name}_count", tuple(sorted(labels.items()))] = float(value.count)
    return found


async def record(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Phase]:
    """Run a service through all phases, and return them by name."""
    clock = FakeClock(PUBLISHED_US + 1_000_000)
    made: list[_Runner] = []

    def metered(*arguments: Any) -> Backend:
        backend = open_backend(*arguments)
        made.append(_Runner(backend.runner, 1_000))
        made[-1].clock = clock
        return msgspec.structs.replace(backend, runner=made[-1], connections=lambda: {"records": 2})

    monkeypatch.setattr("app.main.open_backend", metered)

    def failing(_: Table, appender: Appender) -> Appender:
        wrapped: Any = _Sink(appender)
        return wrapped  # type: ignore[no-any-return] # an Appender in everything else

    async with running(measured(cloud.otlp.url, metrics_interval_s=0.02), clock, failing) as service:
        recorder = Recorder(cloud, service, clock, made[0])
        await recorder.live()
    return recorder.phases
