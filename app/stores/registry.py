"""The stores a service can run on: each provides an Appender per table and a QueryRunner."""

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import cache, partial
from typing import Any, assert_never

import msgspec

from app.runtime.clock import Clock
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.eraser import Eraser
from app.stores.sink import Appender, StoreError
from app.stores.source import QueryRunner

_EXTRAS = {"embedded": "embedded", "bigquery": "cloud"}  # in pyproject.toml
_LOOK_TIMEOUT_S = 3.0  # for each request; a whole check of a table takes less time than an append may


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A store, behind its two seams. `appender` opens the appender of a table, once; `close` is awaited last.

    `name` identifies the data: it is the same for all instances that share them. `system` is the kind of store, as
    traces name it. `connections` returns the number of open append connections by the table's name. `upkeep` returns
    the store's background tasks; its argument is called with a table's name and the number of expired rows deleted.
    """

    name: str
    system: str
    appender: Callable[[Table], Appender]
    runner: QueryRunner
    eraser: Eraser
    upkeep: Callable[[Callable[[str, int], None]], list[Coroutine[Any, Any, None]]]
    close: Callable[[], Awaitable[None]]
    connections: Callable[[], Mapping[str, int]]


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the store that `settings` name, for `tables`. The packages of a store are imported only if it is used.

    Raises:
        StoreError: the embedded store cannot be opened, or a package is missing. BigQuery is not contacted
            yet: a fault there shows as a sink state, and clears without a restart.
    """
    try:
        match settings.store.backend:
            case "embedded":
                return _embedded(settings, tables, clock)
            case "bigquery":
                return _bigquery(settings, tables, clock)
            case _:
                assert_never(settings.store.backend)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"SLUICE_BACKEND={settings.store.backend} needs the package {error.name}, which is not installed: "
            f"`uv sync --extra {_EXTRAS[settings.store.backend]}` installs it"
        ) from error


def _embedded(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    from app.stores.duckdb.eraser import EmbeddedEraser, Retention  # noqa: PLC0415 - likewise
    from app.stores.duckdb.store import EmbeddedStore  # noqa: PLC0415 - see open_backend

    store = EmbeddedStore.open(
        settings.store.data_path, tables, clock, min_free_bytes=settings.store.min_free_disk_bytes
    )

    async def close() -> None:
        await run_in_daemon_thread(store.close, "duckdb-close")

    return Backend(
        name=f"embedded:{settings.store.data_path}",
        appender=cache(store.appender),
        runner=store,
        eraser=EmbeddedEraser(store),
        upkeep=lambda deleted: [Retention(store, tables, clock, settings.store.retention_days, deleted).run()],
        close=close,
        system="duckdb",
        connections=dict,  # none: the store is a part of this process
    )


def _bigquery(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    from app.stores.bigquery.client import BigQueryClients, TableAddress  # noqa: PLC0415 - see open_backend
    from app.stores.bigquery.eraser import BigQueryEraser  # noqa: PLC0415 - likewise
    from app.stores.bigquery.runner import BigQueryRunner  # noqa: PLC0415 - likewise
    from app.stores.bigquery.storage_write import StorageWriteAppender  # noqa: PLC0415 - likewise
    from app.stores.bigquery.table_check import check_table  # noqa: PLC0415 - likewise
    from app.stores.fence import fence  # noqa: PLC0415 - likewise

    access = BigQueryClients(TableAddress.of(settings.store))
    trace_id = f"sluice:{secrets.token_hex(4)}"
    appenders: dict[str, StorageWriteAppender] = {}

    def appender(table: Table) -> StorageWriteAppender:
        if table.name not in appenders:
            appenders[table.name] = StorageWriteAppender(
                access,
                table,
                clock,
                max_connections=settings.store.bigquery_max_connections,
                check=partial(check_table, access, table, timeout_s=_LOOK_TIMEOUT_S),
                fence=fence(
                    settle_s=settings.store.settle_s,
                    clock_skew_s=settings.store.clock_skew_s,
                    late_commit_margin_s=settings.store.late_commit_margin_s,
                    append_deadline_s=settings.store.append_deadline_s,
                ),
                trace_id=trace_id,
            )
        return appenders[table.name]

    runner = BigQueryRunner(access, settings, clock)
    eraser = BigQueryEraser(runner, access, tables[0].name, clock)

    async def close() -> None:
        for opened in appenders.values():
            await opened.close()
        runner.close()
        access.close()

    name = f"bigquery:{settings.store.bigquery_project}.{settings.store.bigquery_dataset}"
    return Backend(
        name=name,
        appender=appender,
        runner=runner,
        eraser=eraser,
        # Partitions expire by themselves.
        upkeep=lambda _: [eraser.learn()] if "query" in settings.server.roles else [],
        close=close,
        system="bigquery",
        connections=lambda: {table: opened.open_connections for table, opened in appenders.items()},
    )
