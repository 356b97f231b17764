"""Open the dataset of a service."""

import secrets
from collections.abc import Coroutine, Sequence
from functools import cache, partial
from typing import Any

from app.runtime.clock import Clock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.bigquery.announcing import Announcing
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.connection import MAX_CONNECTIONS
from app.stores.bigquery.sink import StorageWriteAppender
from app.stores.bigquery.source import BigQueryEraser, BigQueryRunner
from app.stores.bigquery.table_check import TableMonitor, check_table, warn_of_undeclared_tables
from app.stores.bigquery.watermarks import INSTANCES, Limits, instances_table
from app.stores.sink import fence

_LOOK_TIMEOUT_S = 3.0  # for each request; a whole check of a table takes less time than an append may


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Return the store of `tables`. BigQuery is not contacted yet: a fault there shows as a sink state."""
    access = BigQueryClients(TableAddress.of(settings.store))
    trace_id = f"sluice:{secrets.token_hex(4)}"
    appenders: dict[str, StorageWriteAppender] = {}

    def monitor_of(table: Table) -> TableMonitor:
        return TableMonitor(table, partial(check_table, access, table, timeout_s=_LOOK_TIMEOUT_S), clock)

    monitors = {table.name: monitor_of(table) for table in tables}

    def opened(table: Table, monitor: TableMonitor, most: int, announcing: Announcing | None) -> StorageWriteAppender:
        return StorageWriteAppender(
            access,
            table,
            clock,
            max_connections=most,
            monitor=monitor,
            fence=fence(settings.store),
            trace_id=trace_id,
            announcing=announcing,
        )

    @cache
    def announced() -> tuple[Announcing, StorageWriteAppender]:
        """Return what announces this instance; a reader has no need of it."""
        table = instances_table()
        of_marks = opened(table, monitor_of(table), 1, None)
        return Announcing(secrets.token_hex(8), Limits.of(settings.store), clock, of_marks), of_marks

    def appender(table: Table) -> StorageWriteAppender:
        if table.name not in appenders:
            appenders[table.name] = opened(table, monitors[table.name], MAX_CONNECTIONS, announced()[0])
        return appenders[table.name]

    runner = BigQueryRunner(access, settings, clock, monitors)
    eraser = BigQueryEraser(runner, access, tables[0].name, clock)

    def upkeep() -> list[Coroutine[Any, Any, None]]:
        """Return the background tasks; partitions expire by themselves."""
        roles = settings.server.roles
        return [
            warn_of_undeclared_tables(access, {table.name for table in tables} | {INSTANCES}),
            *([eraser.learn()] if "query" in roles else []),
            # An instance joins before its first message, which need not wait then.
            *([announced()[0].join()] if "ingest" in roles else []),
        ]

    async def close() -> None:
        for each in appenders.values():
            await each.close()
        if announced.cache_info().currsize:
            announcing, of_marks = announced()
            await announcing.close()
            await of_marks.close()
        runner.close()
        access.close()

    name = f"bigquery:{settings.store.bigquery_project}.{settings.store.bigquery_dataset}"
    return Backend(
        name=name,
        appender=appender,
        runner=runner,
        eraser=eraser,
        upkeep=lambda _: upkeep(),
        close=close,
        system="bigquery",
        connections=lambda: {table: each.open_connections for table, each in appenders.items()},
    )
