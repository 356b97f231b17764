"""The embedded store is closed in bounded time, whatever is being written."""

import asyncio
import threading
from contextlib import suppress

import duckdb
import pytest

from app.runtime.clock import SystemClock
from app.settings.load import Settings
from app.stores.backend import open_backend
from app.stores.duckdb.store import EmbeddedStore
from app.stores.sink import Uncertain
from tests.stores.duckdb.test_store import RECORDS, REJECTS, opened


def test_closing_does_not_wait_for_a_write_that_hangs() -> None:
    """A disk that does not answer holds the end up for a moment; what waits behind that write is not begun."""
    store = opened()
    gate, entered = threading.Event(), threading.Event()

    def hanging() -> None:
        entered.set()
        gate.wait(60)

    hung = store._writer.submit(hanging)
    assert entered.wait(10)
    behind = store._writer.submit(store._append, "records", "no SQL", 1, [])
    store.close(within_s=0.01)
    assert not hung.done()
    gate.set()
    assert behind.result(10) == Uncertain("the store is closing")


def test_closing_interrupts_a_write_that_lasts() -> None:
    """DuckDB gives it up, and the file is closed behind it."""
    store = opened()
    endless = "CREATE TABLE endless AS SELECT sum(a.range + b.range) FROM range(10000000) a, range(10000000) b"
    lasting = store._writer.submit(store._connection.execute, endless)
    with suppress(TimeoutError):
        lasting.exception(0.2)  # it has begun by then, or is not begun at all
    store.close(within_s=0.01)
    assert isinstance(lasting.exception(30), duckdb.InterruptException)
    assert store._writer._shutdown


async def test_the_loop_goes_on_while_a_store_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other parts of the service have ends of their own to come to."""
    backend = open_backend(Settings().replace(data_path=":memory:"), (RECORDS, REJECTS), SystemClock())
    gate = threading.Event()
    assert isinstance(backend.runner, EmbeddedStore)
    close = backend.runner.close

    def waiting(_: EmbeddedStore) -> None:
        gate.wait(60)
        close()

    monkeypatch.setattr(EmbeddedStore, "close", waiting)
    asyncio.get_running_loop().call_later(0, gate.set)  # by the loop, which a blocking close would hold
    async with asyncio.timeout(30):
        await backend.close()
