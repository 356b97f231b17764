"""Open the embedded store."""

from collections.abc import Sequence
from functools import cache

from app.runtime.clock import Clock
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.duckdb.eraser import EmbeddedEraser, Retention
from app.stores.duckdb.store import EmbeddedStore


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the file of `settings`, with `tables`.

    Raises:
        StoreError: the file cannot be opened, or its tables are not the declared ones.
    """
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
