"""Rounds of load, contender after contender, and what each found."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from app.http.paths import PUSH
from bench.ingest.cells import Cell, Round
from bench.ingest.contenders import SLUICE, Contender, Cores, Store, commands, running
from bench.ingest.load import Loaded, Order
from bench.ingest.messages import Case
from bench.places import ROOT
from sluice.testing.service import authorization
from tests.support.process import served_keys

_WARM_UP_S = 0.5
_LONGEST_S = 30.0


class Field(msgspec.Struct, frozen=True):
    """Where rounds are run: the store, whose keys the tokens are signed with, and which cores."""

    store: Store
    keys_url: str
    cores: Cores


async def load(order: Order, core: list[int]) -> Loaded:
    """Run a load in a process of its own, on `core`; repeat an empty measurement for twice as long.

    A measurement is empty without an answered message, or without a tick of the services' processor time: either
    would count as a rate of zero or as an infinite one. `answered` and `failed` cover the repetitions too.

    Raises:
        SystemExit: the load failed, or a measurement of _LONGEST_S was still empty.
    """
    answered = failed = 0
    while True:
        loaded = await _load_once(order, core)
        answered, failed = answered + loaded.answered, failed + loaded.failed
        if loaded.messages and (loaded.cpu_s or not order.pids):
            return msgspec.structs.replace(loaded, answered=answered, failed=failed)
        if order.seconds >= _LONGEST_S:
            raise SystemExit(f"nothing to measure in {order.seconds:g} s: {loaded.messages} messages were answered")
        order = msgspec.structs.replace(order, seconds=order.seconds * 2, first=order.first + loaded.answered)


async def _load_once(order: Order, core: list[int]) -> Loaded:
    command = ["taskset", "-c", ",".join(map(str, core)), sys.executable, "-m", "bench.ingest.load"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    output, _ = await process.communicate(msgspec.json.encode(order))
    if process.returncode:
        raise SystemExit("the load has failed")
    return msgspec.json.decode(output, type=Loaded)


def order_of(contenders: Sequence[Contender], case: Case, seconds: float, rate: float | None = None) -> Order:
    """Return the load of `contenders` together with messages that none of them has had yet."""
    return Order(
        ports=[contender.port for contender in contenders],
        paths=(PUSH,),
        case=case,
        authorization=authorization()["Authorization"],
        seconds=seconds,
        rate=rate,
        pids=[pid for contender in contenders for pid in contender.pids],
        first=max(contender.pushed for contender in contenders),
    )


async def one_round(
    field: Field, contender: Contender, case: Case, seconds: float, rate: float | None = None
) -> Loaded:
    """Load a contender; every message must be acknowledged, and what is acknowledged be in the store.

    Raises:
        SystemExit: it was not so: there is nothing to compare.
    """
    before = await field.store.rows()
    order = order_of([contender], case, seconds, rate)
    loaded = await load(order, field.cores.load)
    contender.pushed += loaded.answered
    if loaded.failed:
        raise SystemExit(f"{contender.name}: {loaded.failed} of {loaded.answered} pushes were not answered 204")
    if contender.name == SLUICE:  # a ceiling stores nothing
        check_stored(contender, loaded.answered * case.records, await field.store.rows() - before)
    return loaded


def check_stored(contender: Contender, acknowledged: int, stored: int) -> None:
    """Raise SystemExit if the store was given fewer records than the contender has acknowledged."""
    if stored < acknowledged:
        raise SystemExit(f"{contender.name}: {acknowledged} records were acknowledged, and {stored} stored")


def measured(loaded: Loaded, case: Case) -> Round:
    """Return what a round has found."""
    per_s = loaded.messages / loaded.seconds
    return Round(
        messages_per_s=round(per_s, 1),
        records_per_s=round(per_s * case.records, 1),
        cpu_us_per_message=round(loaded.cpu_s * 1e6 / loaded.messages, 2),
        cores=round(loaded.cpu_s / loaded.seconds, 3),
        load_cores=loaded.load_cores,
        p50_ms=loaded.times_ms[0],
        p99_ms=loaded.times_ms[2],
    )


@asynccontextmanager
async def field_of(ack_ms: float) -> AsyncIterator[Field]:
    """Run a null store that acknowledges after `ack_ms`, and serve the key set, until the block ends."""
    cores = Cores.of_this_machine()
    with served_keys() as keys_url:
        async with Store.open(cores.load) as store:
            await store.acknowledge_after(ack_ms)
            yield Field(store, keys_url, cores)


@asynccontextmanager
async def contenders(field: Field, names: Sequence[str], ack_ms: float) -> AsyncIterator[list[Contender]]:
    """Run the contenders of these names side by side on the core under test; who is not loaded takes nothing of it."""
    known = commands(field.store, field.keys_url, ack_ms)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(name, *known[name], field.cores.service)) for name in names]


async def compare(
    names: Sequence[str], cases: Iterable[Case], *, rounds: int, seconds: float, rate: float | None = None
) -> list[Cell]:
    """Load each contender with each case, `rounds` times, in turn; each has one process for all its rounds.

    With a `rate`, it gets so many messages a second, instead of as many as it takes.
    """
    cells = dict[tuple[str, Case], Cell]()
    for ack_ms, some in _by_ack(cases).items():
        async with field_of(ack_ms) as field, contenders(field, names, ack_ms) as started:
            for contender in started:  # the first requests of a process are not like those that follow
                await one_round(field, contender, msgspec.structs.replace(some[0], in_flight=64), _WARM_UP_S)
            for number in range(rounds):
                for case in some:
                    for contender in started if number % 2 == 0 else started[::-1]:
                        cell = cells.setdefault((contender.name, case), Cell(contender.name, case))
                        cell.rounds.append(measured(await one_round(field, contender, case, seconds, rate), case))
    return list(cells.values())


def _by_ack(cases: Iterable[Case]) -> dict[float, list[Case]]:
    by_ack: dict[float, list[Case]] = {}
    for case in cases:
        by_ack.setdefault(case.ack_ms, []).append(case)
    return by_ack
