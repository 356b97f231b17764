"""Open the embedded store."""

from collections.abc import Sequence
from functools import cache

from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US
from app.runtime.memory import container_memory_bytes
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.duckdb.eraser import EmbeddedEraser, Retention
from app.stores.duckdb.file import EmbeddedLimits
from app.stores.duckdb.store import EmbeddedStore
from app.stores.erasures import erasures_table

_MIN_MEMORY_BYTES, _MAX_MEMORY_BYTES = 256 * 1024**2, 1024**3


def memory_share_bytes(container_bytes: int) -> int:
    """Return the memory for DuckDB in a container: a quarter of it, from 256 MiB to 1 GiB."""
    return min(max(container_bytes // 4, _MIN_MEMORY_BYTES), _MAX_MEMORY_BYTES)


def limits_of(settings: Settings) -> EmbeddedLimits:
    """Return what the store may use."""
    return EmbeddedLimits(
        min_free_bytes=settings.store.min_free_disk_bytes,
        memory_bytes=settings.store.embedded_memory_bytes or memory_share_bytes(container_memory_bytes()),
        lookback_us=round(settings.query.dedupe_lookback_s * SECOND_US),
    )


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the file of `settings`, with `tables`.

    Raises:
        StoreError: the file cannot be opened, or its tables are not the declared ones.
    """
    erasures = erasures_table(tables, settings.store.retention_days)
    tables = (*tables, erasures)
    store = EmbeddedStore.open(settings.store.data_path, tables, clock, limits_of(settings))

    async def close() -> None:
        await run_in_daemon_thread(store.close, "duckdb-close")

    return Backend(
        name=f"embedded:{settings.store.data_path}",
        appender=cache(store.appender),
        runner=store,
        eraser=EmbeddedEraser(store, erasures),
        upkeep=lambda: [Retention(store, tables, clock, settings.store.retention_days).run()],
        close=close,
        system="duckdb",
        connections=dict,  # none: the store is a part of this process
        obstacle=store.obstacle,
    )
