"""One run: the store, the service's own ingest pipeline over it, and each file in turn."""

import asyncio
from collections.abc import Sequence

from app.environment import Environment
from app.ingest.decode.proof import Proofs
from app.ingest.decode.rejects import prefix_of
from app.ingest.earlier import EarlierCopies
from app.ingest.setup import Pipelines
from app.runtime.clock import Clock
from app.runtime.instants import MIN_US
from app.settings.load import Settings
from app.stores.registry import open_backend
from app.streams import load_streams
from app.telemetry.metrics import Metrics
from app.telemetry.sampling import Sampler
from app.telemetry.tracing import Tracing
from sluice.ops.backfill.formats import Reading, read_items
from sluice.ops.backfill.objects import Object
from sluice.ops.backfill.progress import Progress
from sluice.ops.backfill.storing import Backfill, Plan

_DRAIN_S = 5.0


async def backfill(plan: Plan, settings: Settings, objects: Sequence[Object], progress: Progress, clock: Clock) -> None:
    """Store the records of `objects`, and count them in `progress`.

    Raises:
        RecordTypeError: there is no such stream.
        StoreError: the store cannot be opened.
        SourceError: a file cannot be read; all records before the fault are stored.
        StoppedError: the store accepts nothing, or a file was changed since an earlier run.
        QueryError: the store does not say what it holds.
    """
    streams = load_streams(settings.store)
    table, tables = streams.table(plan.stream), (*streams.tables, streams.rejects)
    backend = open_backend(settings, tables, clock)
    lead_us = settings.store.max_lead_us
    environment = Environment(
        settings=settings,
        clock=clock,
        metrics=Metrics([*streams.by_name]),
        tracing=Tracing(None, Sampler(0.0, 1.0, clock.elapsed_us)),
    )
    pipelines = Pipelines(
        environment,
        streams,
        {each.name: backend.appender(each) for each in tables},
        system=backend.system,
        # Archived messages are looked up however old they are.
        earlier=EarlierCopies(backend.runner, clock, from_us=MIN_US, older_than_us=0, lead_us=lead_us),
    )
    watches = [asyncio.create_task(watch) for watch in pipelines.watches()]
    run = Backfill(
        plan,
        pipeline=pipelines.by_stream[table.name],
        runner=backend.runner,
        table=table,
        prefix="" if table is streams.default.table else prefix_of(table.name),
        settings=settings,
        clock=clock,
        progress=progress,
    )
    reading = Reading(
        table=table,
        proofs=Proofs(settings.auth.signing_secret, settings.auth.heartbeat_signature),
        max_record_bytes=settings.server.max_body_bytes,
    )
    try:
        await run.prepare()
        for each in objects:
            await run.store(each.path, read_items(each.path, each.format, each.open, reading))
    finally:
        await pipelines.drain(_DRAIN_S)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await backend.close()
