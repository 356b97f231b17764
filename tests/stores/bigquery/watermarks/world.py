"""A world of instances and readers over a scripted BigQuery: the service's own writer, appender, marks and horizon.

Only the store, the clocks and the processes are played. True time moves for all at once, but for processes that are
stopped. The store makes the rows of a request visible when the script says; a client that gave up may see that happen
within the late-commit margin, and no later.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from app.runtime.clock import MICROSECONDS
from app.runtime.instants import from_epoch_us
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.bigquery.watermarks.horizons import Horizons
from app.stores.sink import Outcome, RowsRefused, Stored
from app.stores.source import Answer
from app.stores.sql.statement import Statement
from sluice.testing.clock import FakeClock, settled
from tests.stores.bigquery.watermarks.processes import (
    INSTANCES,
    RECORDS,
    SETTINGS,
    T0_US,
    Instance,
    Request,
    fate_of,
)

_ENCODERS = {table.name: ProtoRowEncoder(table) for table in (RECORDS, INSTANCES)}


class World:
    """The store, the instances, the readers, and the greatest horizon that a reader has had."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.instances: list[Instance] = []
        self.requests: list[Request] = []
        self.marks: list[dict[str, Any]] = []
        self.passed_us = self.seen = self.messages = 0
        self.lags_s: list[float] = []
        self.readers = {offset_s: self._reader(offset_s) for offset_s in (-2.0, 0.0, 2.0)}

    def _reader(self, offset_s: float) -> tuple[FakeClock, Horizons]:
        clock = FakeClock(T0_US + round(offset_s * MICROSECONDS))
        return clock, Horizons(SETTINGS, clock, self._read)

    async def _read(self, statement: Statement) -> Answer:
        from_us = statement.parameters["from_us"]
        assert isinstance(from_us, int)
        newest: dict[str, dict[str, Any]] = {}
        for mark in self.marks:
            known = newest.get(mark["instance"])
            if mark["ingest_us"] >= from_us and (known is None or known["written"] < mark["written"]):
                newest[mark["instance"]] = mark
        return Answer(list(newest.values()))

    @property
    def running(self) -> list[Instance]:
        """The instances that can do anything."""
        return [each for each in self.instances if each.is_running and not each.is_leaving]

    def start(self, offset_s: float) -> None:
        """Start an instance."""
        self.instances.append(Instance(self, f"i{len(self.instances)}", offset_s))

    def sent(self, owner: Instance, table: str, rows: Sequence[bytes]) -> Request:
        """Take a request."""
        request = Request(owner, table, rows, self.now_s)
        self.requests.append(request)
        return request

    def commit(self, request: Request) -> None:
        """Make the rows of a request visible. No reader may have passed them."""
        request.is_visible = True
        decoded = [_ENCODERS[request.table].message.FromString(row) for row in request.rows]
        if request.table == INSTANCES.name:
            self.marks += [
                {
                    "instance": row.instance,
                    "state": row.state,
                    "through": from_epoch_us(row.through),
                    "written": from_epoch_us(row.written),
                    "ingest_us": row.ingest_time,
                }
                for row in decoded
            ]
            return
        for row in decoded:
            self.seen += 1
            assert row.ingest_time >= self.passed_us, (
                f"{row.delivery_key}, stamped {row.ingest_time - T0_US}, became visible at {self.now_s} s after a "
                f"horizon of {self.passed_us - T0_US}"
            )

    async def answer(self, request: Request, outcome: Outcome) -> None:
        """Tell the client what became of a request, unless its process cannot hear it."""
        if request.owner.is_running and not request.outcome.done():
            request.outcome.set_result(outcome)
            await settled(20)

    async def live(self, random: Random, seconds: float) -> None:
        """Let instances store messages and readers read; the store treats each request by chance."""
        for _ in range(round(2 * seconds)):
            for instance in self.running:
                if random.random() < 0.5:
                    self.messages += 1
                    instance.send(f"m{self.messages}")
            await self.advance(0.5, serving=False)
            for request in list(self.requests):
                await self._treat(request, random)
            self._forget()
            await self.read(random.choice([*self.readers]))

    async def _treat(self, request: Request, random: Random) -> None:
        fate = request.fate = request.fate or fate_of(random, self.now_s, is_mark=request.table == INSTANCES.name)
        if request.owner.is_cut_off:
            return
        if fate.commits_s is not None and self.now_s >= fate.commits_s and request.may_commit(self.now_s):
            self.commit(request)
        if fate.answers_s is not None and self.now_s >= fate.answers_s and request.given_up_s is None:
            if request.is_visible:
                await self.answer(request, Stored())
            elif fate.commits_s is None:
                await self.refuse(request)

    async def serve(self) -> None:
        """Store and acknowledge whatever has come from instances that are not cut off."""
        for request in list(self.requests):
            if request.given_up_s is None and not request.owner.is_cut_off and request.owner.is_running:
                if not request.is_visible:
                    self.commit(request)
                await self.answer(request, Stored())
        self._forget()

    async def refuse(self, request: Request) -> None:
        """Refuse a request for good."""
        if not request.is_visible:
            self.requests.remove(request)
            await self.answer(request, RowsRefused({}, "no"))

    async def advance(self, seconds: float, *, serving: bool) -> None:
        """Let time pass in steps of half a second; if `serving`, the store answers at each."""
        for _ in range(round(seconds * 2)):
            self.now_s += 0.5
            for instance in self.instances:
                if instance.has_crashed:
                    continue
                instance.missed_s += 0.5
                if instance.is_running:
                    await self.resume(instance)
            for clock, _ in self.readers.values():
                await clock.advance(0.5)
            if serving:
                await self.serve()
            self._forget()

    async def resume(self, instance: Instance) -> None:
        """Let a process go on; its clock has gone on meanwhile."""
        instance.is_running = True
        missed_s, instance.missed_s = instance.missed_s, 0.0
        await instance.clock.jump(missed_s)

    async def read(self, offset_s: float) -> None:
        """Let a reader learn the horizon, and remember how far it thinks the table settled."""
        _, horizons = self.readers[offset_s]
        await horizons.learn()
        self.passed_us = max(self.passed_us, horizons.horizon_us())
        self.lags_s.append(self.now_s - (horizons.horizon_us() - T0_US) / MICROSECONDS)

    def crash(self, instance: Instance) -> None:
        """End a process at once; what it has sent may still be stored."""
        instance.is_running, instance.has_crashed = False, True
        instance.is_leaving = True

    async def close(self) -> None:
        """End everything."""
        current = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self) -> None:
        self.requests = [
            each
            for each in self.requests
            if (each.is_visible and not each.outcome.done() and each.owner.is_running) or each.may_commit(self.now_s)
        ]
