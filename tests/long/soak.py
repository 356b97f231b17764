"""The soak: everything that a service does, for half an hour with pauses; nothing grows, and the ledger is exact.

With kills instead of pauses, memory is not looked at, and no response may be cut but by a kill.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import duckdb
import msgspec

from sluice.testing import tokens
from sluice.testing.pace import patience_s
from tests.long.crowd import Crowd
from tests.long.exporter import Exporter
from tests.long.fleet import Fleet, Instance, fleet
from tests.long.growth import trends
from tests.long.load import Driver
from tests.long.messages import make_messages
from tests.long.result import Result
from tests.long.run import Walk, followed
from tests.support.instance import Resources, resources
from tests.support.process import served_keys

_IN_FLIGHT, _FINISH_WITHIN_S = 64, 300.0
_SMALL = {"cache_max_bytes": 4_194_304, "dedupe_max_messages": 10_000}
"""Memories of a fixed size that half an hour would only fill: made small, so that what grows without end is seen."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How hard and how long: seconds, messages a second, seconds between samples, and pauses or kills."""

    seed: int
    seconds: float
    rate: float = 50.0
    sample_every_s: float = 5.0
    stop_every_s: float = 150.0
    kill_every_s: float | None = None


async def soak(conditions: Conditions, folder: Path) -> Result:
    """Run a service over the embedded store in `folder` for so long, and return what was seen."""
    samples, stops, exporters = list[Resources](), Counter[str](), list[Exporter]()
    file = folder / "sluice.duckdb"
    token = tokens.token(exp=int(time.time() + 2 * conditions.seconds) + 3_600)
    with served_keys() as keys_url:
        settings = {"data_path": str(file), "token_keys_url": keys_url, "requests_per_minute": "0"}
        async with fleet(1, settings, _SMALL) as instances:
            instance = instances.instances[0]
            driver = Driver(instances, seed=conditions.seed, token=lambda: token, ack_deadline_s=60.0)
            stop_at_s = time.monotonic() + conditions.seconds
            crowd = Crowd(instance, conditions.seed, stop_at_s)
            messages = make_messages(conditions.seed, round(conditions.seconds * conditions.rate) + 100, refused=False)

            async def work(walk: Walk) -> None:
                exporter = Exporter(instances, walk.followers[0], walk.since, stop_at_s)
                exporters.append(exporter)
                watching = asyncio.create_task(_watch(instance, samples, conditions.sample_every_s))
                async with asyncio.timeout(conditions.seconds + patience_s(_FINISH_WITHIN_S)):
                    await asyncio.gather(
                        driver.run(messages, in_flight=_IN_FLIGHT, rate=conditions.rate, seconds=conditions.seconds),
                        crowd.run(),
                        exporter.run(),
                        _trouble(instances, conditions, stop_at_s, stops),
                    )
                watching.cancel()

            walk = await followed(instances, work, conditions.seed)
            await instances.end(0, signal.SIGTERM, again=False)
    sent = [message for message in messages if message.number in driver.begun]
    wrong = walk.wrong(sent, driver, instances, (_counted(file, "records"), _counted(file, "records_rejected")))
    found = trends(samples) if conditions.kill_every_s is None else []
    wrong += [*crowd.trouble, *exporters[0].trouble]
    wrong += [f"{each.name} grows: {each.text}" for each in found if not each.is_flat]
    counts: dict[str, Mapping[str, float]] = {
        "messages": driver.outcomes,
        "crowd": crowd.answers,
        "exports": exporters[0].outcomes,
        "events": stops,
        "rows": {"followed": len(walk.followers[0].rows), "rejects": len(walk.followers[1].rows)},
        "samples": {"in all": len(samples)},
    }
    return Result(counts=counts, wrong=wrong, lines=[f"  {each.name}: {each.text}" for each in found])


async def _watch(instance: Instance, samples: list[Resources], every_s: float) -> None:
    while True:
        with suppress(OSError, KeyError):  # it was killed, and is not up yet
            samples.append(resources(instance.pid))
        await asyncio.sleep(every_s)


async def _trouble(fleet: Fleet, conditions: Conditions, stop_at_s: float, stops: Counter[str]) -> None:
    """Stop the process for some seconds, or kill it, again and again until shortly before the end."""
    dice = random.Random(f"{conditions.seed}/pauses")
    every_s = conditions.kill_every_s or conditions.stop_every_s
    while time.monotonic() + every_s < stop_at_s - min(15, conditions.seconds / 4):
        await asyncio.sleep(every_s)
        if conditions.kill_every_s is not None:
            await fleet.end(0, signal.SIGKILL)
            stops["kills"] += 1
            continue
        fleet.instances[0].send(signal.SIGSTOP)
        try:
            await asyncio.sleep(dice.uniform(1, 4))
        finally:
            fleet.instances[0].send(signal.SIGCONT)
        stops["stops"] += 1


def _counted(file: Path, table: str) -> dict[str, int]:
    """Count the rows of each delivery key in the file, which nobody has open now."""
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute(f"SELECT delivery_key, count(*) FROM {table} GROUP BY 1").fetchall()  # noqa: S608 - one of two names
    return dict(rows)
