"""Open the dataset of a service."""

import secrets
from collections.abc import Coroutine, Sequence
from functools import partial
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
from app.stores.erasures import ERASURES, erasures_table
from app.stores.sink import lateness_limits

_LOOK_TIMEOUT_S = 3.0  # for each request; a whole check of a table takes less time than an append may


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Return the store of `tables`. BigQuery is not contacted yet: a fault there shows as a sink state."""
    access = BigQueryClients(TableAddress.of(settings.store))
    trace_id, limits = f"sluice:{secrets.token_hex(4)}", lateness_limits(settings.store)

    def monitor_of(table: Table) -> TableMonitor:
        return TableMonitor(table, partial(check_table, access, table, timeout_s=_LOOK_TIMEOUT_S), clock)

    def opened(table: Table, monitor: TableMonitor, most: int, announcing: Announcing | None) -> StorageWriteAppender:
        return StorageWriteAppender(
            access,
            table,
            clock,
            max_connections=most,
            monitor=monitor,
            lateness_limits=limits,
            trace_id=trace_id,
            announcing=announcing,
        )

    monitors = {table.name: monitor_of(table) for table in tables}
    marks = opened(instances_table(), monitor_of(instances_table()), 1, None)
    announcing = Announcing(secrets.token_hex(8), Limits.of(settings.store), clock, marks)
    appenders = {table.name: opened(table, monitors[table.name], MAX_CONNECTIONS, announcing) for table in tables}
    runner = BigQueryRunner(access, settings, clock, monitors)
    erased = erasures_table(tables, settings.store.retention_days)
    appenders[ERASURES] = opened(erased, monitor_of(erased), 1, announcing)
    eraser = BigQueryEraser(runner, access, tables[0].name, clock, appenders[ERASURES])

    def upkeep() -> list[Coroutine[Any, Any, None]]:
        """Return the background tasks; partitions expire by themselves."""
        roles = settings.server.roles
        return [
            warn_of_undeclared_tables(access, {table.name for table in tables} | {INSTANCES, ERASURES}),
            *([eraser.learn()] if "query" in roles else []),
            # An instance joins before its first message, which need not wait then.
            *([announcing.join()] if "ingest" in roles else []),
        ]

    async def close() -> None:
        for each in appenders.values():
            await each.close()
        await announcing.close()
        await marks.close()
        runner.close()
        access.close()

    name = f"bigquery:{settings.store.bigquery_project}.{settings.store.bigquery_dataset}"
    return Backend(
        name=name,
        appender=lambda table: appenders[table.name],
        runner=runner,
        eraser=eraser,
        upkeep=upkeep,
        close=close,
        system="bigquery",
        connections=lambda: {table: each.open_connections for table, each in appenders.items()},
    )
