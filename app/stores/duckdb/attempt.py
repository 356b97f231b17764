"""One query of the embedded store, shared by the thread that runs it and the event loop, which may cancel it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

from app.stores.source import StoreUnavailableError
from app.telemetry.redaction import first_line

DISCONNECTED = "the database is being reopened"
_INTERRUPT_AGAIN_S = 0.05


class Attempt:
    """A query that can be interrupted, whether or not it has begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = threading.Lock()  # held while DuckDB runs the query
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._held: tuple[Any, duckdb.DuckDBPyConnection] | None = None
        self._given_up = self._disconnected = False

    def give_up(self) -> None:
        """Interrupt the query if it is running, and keep it from starting if it is not."""
        with self._lock:
            self._given_up = True
            if self._cursor is not None:
                with suppress(duckdb.Error):  # a closed cursor has nothing to interrupt
                    self._cursor.interrupt()

    def disconnect(self) -> None:
        """Abandon the query because the database is going away: it raises StoreUnavailableError."""
        self._disconnected = True
        self.give_up()

    def hold(self, stream: Any, cursor: duckdb.DuckDBPyConnection) -> None:
        """Keep the stream of an export for `release`: it holds the database open between two pieces."""
        self._held = stream, cursor

    def release(self, deadline_s: float) -> bool:
        """Release the database once nothing runs; return False if it still ran at `deadline_s` (time.monotonic)."""
        while not self._busy.acquire(timeout=_INTERRUPT_AGAIN_S):
            if time.monotonic() >= deadline_s:
                return False
            self.give_up()  # DuckDB ignores an interrupt that arrives before the query begins
        try:
            if self._held is not None:
                stream, cursor = self._held
                stream.release()
                cursor.close()
                self._held = None
        finally:
            self._busy.release()
        return True

    @contextmanager
    def running(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Make `cursor` the one to interrupt while the block runs."""
        with self._busy:
            with self._lock:
                self._check()
                self._cursor = cursor
            try:
                yield
            except (duckdb.InterruptException, StoreUnavailableError):
                if self._disconnected:
                    raise StoreUnavailableError(DISCONNECTED) from None
                raise
            finally:
                with self._lock:
                    self._cursor = None

    def _check(self) -> None:
        if self._disconnected:
            raise StoreUnavailableError(DISCONNECTED)
        if self._given_up:
            raise duckdb.InterruptException

    def next_of(self, batches: Any, cursor: duckdb.DuckDBPyConnection) -> Any | None:
        """Return the next batch, None at the end."""
        with self.running(cursor):
            try:
                return next(iter(batches), None)
            except RuntimeError as error:  # how nanoarrow reports an error of DuckDB
                raise StoreUnavailableError(first_line(error)) from error


def interrupt(attempt: Attempt, work: Future[Any]) -> None:
    """Interrupt `attempt` until `work` has ended: DuckDB ignores an interrupt that arrives before the query begins.

    It runs on timers of its own, since by then the event loop may be blocked in `close`.
    """
    if not work.done():
        attempt.give_up()
        again = threading.Timer(_INTERRUPT_AGAIN_S, interrupt, (attempt, work))
        again.daemon = True
        again.start()
