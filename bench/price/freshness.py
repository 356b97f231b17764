"""How old the feed is: seconds from handing a record to the writer until a reader may show it, over local-bigquery."""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import msgspec

from app.record import Record
from app.runtime.clock import MICROSECONDS, SystemClock
from app.schema.table import records_table
from app.settings.load import Settings
from app.stores.backend import Backend, open_backend
from app.stores.bigquery.client import TableAddress
from app.stores.sink import Appender, Stored
from tests.support.local_bigquery import running

RECORDS = records_table(Record)
_WRITERS, _APPENDS_PER_S, _WARM_S, _FOR_S = 3, 5, 5, 60
_ENVELOPE: dict[str, Any] = {
    **dict.fromkeys(("subscription_name", "message_id", "publish_time", "ordering_key", "trace_id")),
    "attributes": {},
}


class Freshness(msgspec.Struct, frozen=True):
    """Seconds from a record's hand-over to the writer until the feed may show it, for a reader that polls all the time.

    `look_p50_s` and `look_p99_s` are how old the horizon was right after it was learned.
    """

    poll_s: float
    p50_s: float
    p99_s: float
    look_p50_s: float
    look_p99_s: float


def _open(place: TableAddress, poll_s: float) -> Backend:
    settings = Settings().replace(
        backend="bigquery",
        bigquery_project=place.project,
        bigquery_dataset=place.dataset,
        bigquery_rest_url=place.rest_url,
        bigquery_storage_url=place.storage_url,
        poll_s=poll_s,
    )
    return open_backend(settings, [RECORDS], SystemClock())


async def _write(appender: Appender, name: str, handed: list[int], clock: SystemClock) -> None:
    encode = appender.encoder(_ENVELOPE)
    record = Record(id="order-1042", timestamp=datetime(2026, 1, 31, tzinfo=UTC), data="x" * 900)
    while True:
        begun_us = clock.now_us()
        outcome = await appender.append([encode(record, 0, f"{name}{begun_us}")])
        if not isinstance(outcome, Stored):
            raise TypeError(outcome)
        handed.append(begun_us)
        await clock.sleep(1 / _APPENDS_PER_S)


async def _measure(place: TableAddress, poll_s: float) -> Freshness:
    clock = SystemClock()
    backends = [_open(place, poll_s) for _ in range(_WRITERS + 1)]
    reader, *others = backends
    handed: list[int] = []
    writing = [
        asyncio.create_task(_write(each.appender(RECORDS), f"w{number}:", handed, clock))
        for number, each in enumerate(others)
    ]
    try:
        await clock.sleep(_WARM_S)
        begins_us = seen_us = clock.now_us()
        waits_s, looks_s = list[float](), list[float]()
        known_us = 0
        while (now_us := clock.now_us()) < begins_us + _FOR_S * MICROSECONDS:
            if reader.runner.learn_horizon is not None:
                await reader.runner.learn_horizon()
            horizon_us, now_us = reader.runner.horizon_us(RECORDS.name), clock.now_us()
            if horizon_us > known_us:
                looks_s.append((now_us - horizon_us) / MICROSECONDS)
            # By its hand-over, which is before its stamp: what is settled is at least this much.
            waits_s += [(now_us - at_us) / MICROSECONDS for at_us in handed if seen_us <= at_us < horizon_us]
            seen_us, known_us = max(seen_us, horizon_us), horizon_us
            await clock.sleep(0.05)
            for task in writing:
                if task.done():
                    task.result()
    finally:
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        for each in backends:
            await each.close()
    waits, looks = quantiles(waits_s, n=100), quantiles(looks_s, n=100)
    return Freshness(poll_s, waits[49], waits[98], looks[49], looks[98])


POLLS_S = (5.0, 2.0, 1.0)
"""SLUICE_POLL_S."""


def ages() -> list[Freshness]:
    """Measure with polls of three lengths; a minute each."""
    found = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as double:
        for poll_s in POLLS_S:
            place = double.fresh(RECORDS)
            found.append(asyncio.run(_measure(place, poll_s)))
            double.drop(place)
    return found
