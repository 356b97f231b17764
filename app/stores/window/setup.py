"""Open the window over a store."""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.source import QueryRunner
from app.stores.window.database import Database
from app.stores.window.loader import Loader
from app.stores.window.source import Window


def with_window(backend: Backend, settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Return `backend` with a window over its `tables`."""
    database = Database(tables, settings.query.window_bytes)

    def reader(runner: QueryRunner, reads: Counter[str]) -> Window:
        loader = Loader(
            runner,
            database,
            clock,
            lookback_us=round(settings.query.dedupe_lookback_s * SECOND_US),
            erasures=lambda: backend.eraser.generation,
            reads=reads,
        )
        return Window(runner, database, loader)

    def upkeep(deleted: Callable[[str, int], None]) -> list[Coroutine[Any, Any, None]]:
        return [*backend.upkeep(deleted), run_in_daemon_thread(database.prepare, "window-prepare")]

    async def close() -> None:
        await run_in_daemon_thread(database.close, "window-close")
        await backend.close()

    return msgspec.structs.replace(backend, reader=reader, upkeep=upkeep, close=close)
