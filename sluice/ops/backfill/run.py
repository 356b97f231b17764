"""One run: the store, the service's own ingest pipeline over it, and each file in turn."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import IO, Any

from app.ingest.appends import AppendWatch
from app.ingest.earlier import EarlierCopies
from app.ingest.proof import Proofs
from app.ingest.rejects import prefix_of
from app.ingest.setup import Pipelines
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import MIN_US
from app.schema.table import Table, rejects_table
from app.settings.load import Settings
from app.stores.registry import open_backend
from app.stores.sink import Appender, Outcome, SetupError, Stored
from app.stores.source import QueryRunner
from app.streams import Streams
from app.telemetry.metrics import Metrics
from app.telemetry.sampling import Sampler
from app.telemetry.tracing import Tracing
from sluice.ops.backfill.formats import Reading, read_items
from sluice.ops.backfill.objects import Object
from sluice.ops.backfill.progress import Progress
from sluice.ops.backfill.storing import Backfill, Plan

_DRAIN_S = 5.0


async def backfill(  # noqa: PLR0913, PLR0917 - what one run needs
    plan: Plan,
    settings: Settings,
    streams: Streams,
    table: Table,
    objects: Sequence[Object],
    progress: Progress,
    clock: Clock,
) -> None:
    """Store the records of `objects` in `table`, and count them in `progress`.

    Raises:
        StoreError: the store cannot be opened.
        SourceError: a file cannot be read; all records before the fault are stored.
        StoppedError: the store accepts nothing, or a file was changed since an earlier run.
        QueryError: the store does not say what it holds.
    """
    reading = Reading(
        table=table,
        proofs=Proofs(settings.auth.signing_secret, settings.auth.heartbeat_signature),
        max_record_bytes=settings.server.max_body_bytes,
        naive_as_utc=plan.naive_as_utc,
    )
    async with _opened(settings, streams, table, plan, progress, clock) as backfill:
        await backfill.prepare()
        done_bytes = 0
        for each in objects:
            file = each.open()
            items = read_items(each.path, each.format, file, reading)
            await backfill.run(each.path, items, partial(_position, file, done_bytes, each.size_bytes))
            done_bytes += each.size_bytes


def _position(file: IO[bytes], before: int, size: int) -> int:
    """Return how many bytes of the source were read: those before the file, and its own."""
    return before + (size if file.closed else file.tell())


@asynccontextmanager
async def _opened(  # noqa: PLR0913, PLR0917 - as above
    settings: Settings, streams: Streams, table: Table, plan: Plan, progress: Progress, clock: Clock
) -> AsyncIterator[Backfill]:
    """Open the store and the service's own ingest pipeline over it."""
    rejects = rejects_table()
    if plan.is_dry_run:
        settings = settings.replace(data_path=":memory:")  # no file is made, and a running service is no obstacle
    backend = open_backend(settings, (*streams.tables, rejects), clock)
    tasks: list[asyncio.Task[Any]] = []
    try:
        appenders = {each.name: backend.appender(each) for each in (*streams.tables, rejects)}
        if plan.is_dry_run:
            appenders = {name: _Validating(appender) for name, appender in appenders.items()}
        metrics = Metrics([*streams.by_name])
        tracing = Tracing(None, Sampler(0.0, 1.0, clock.elapsed_us))
        pipelines = Pipelines(
            streams,
            rejects,
            appenders,
            settings=settings,
            clock=clock,
            metrics=metrics,
            watch_appends=AppendWatch(metrics, tracing, clock, system=backend.system),
            earlier=None if plan.is_dry_run else _earlier(settings, backend.runner, clock),
        )
        tasks += [asyncio.create_task(watch) for watch in pipelines.watches()]
        try:
            yield Backfill(
                plan,
                pipeline=pipelines.by_stream[table.name],
                runner=backend.runner,
                table=table,
                prefix="" if table is streams.default.table else prefix_of(table.name),
                settings=settings,
                clock=clock,
                progress=progress,
            )
        finally:
            await pipelines.drain(_DRAIN_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await backend.close()


def _earlier(settings: Settings, runner: QueryRunner, clock: Clock) -> EarlierCopies:
    """Return what looks up archived messages, however old."""
    skew_us = round(settings.store.clock_skew_s * MICROSECONDS)
    return EarlierCopies(runner, clock, from_us=MIN_US, older_than_us=0, skew_us=skew_us)


class _Validating:
    """An Appender that encodes rows as another one does, and stores nothing."""

    fence = None

    def __init__(self, appender: Appender) -> None:
        self.encoder, self.rekeyed = appender.encoder, appender.rekeyed
        self.max_in_flight, self.target_in_flight = appender.max_in_flight, appender.target_in_flight

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Store nothing."""
        return Stored()

    async def check(self) -> SetupError | Stored | None:
        """Find no obstacle."""
        return None

    async def close(self) -> None:
        """Do nothing."""
