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
    """A query on a `cursor` of its own that can be interrupted, whether or not it has begun."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor
        self.stream: Any = None
        """That of an export: it keeps the database open between two pieces."""
        self._busy = threading.Lock()  # held while DuckDB runs the query
        self._given_up = self._disconnected = False

    def give_up(self) -> None:
        """Interrupt the query if it is running, and keep it from starting if it is not."""
        self._given_up = True
        with suppress(duckdb.Error):  # a closed cursor has nothing to interrupt
            self.cursor.interrupt()

    def disconnect(self) -> None:
        """Abandon the query because the database is going away: it raises StoreUnavailableError."""
        self._disconnected = True
        self.give_up()

    def release(self, deadline_s: float) -> bool:
        """Release the database once nothing runs; return False if it still ran at `deadline_s` (time.monotonic)."""
        while not self._busy.acquire(timeout=_INTERRUPT_AGAIN_S):
            if time.monotonic() >= deadline_s:
                return False
            self.give_up()  # DuckDB ignores an interrupt that arrives before the query begins
        try:
            stream, self.stream = self.stream, None
            if stream is not None:
                stream.release()
            self.cursor.close()
        finally:
            self._busy.release()
        return True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run a part of the query in the block."""
        with self._busy:
            if self._disconnected:
                raise StoreUnavailableError(DISCONNECTED)
            if self._given_up:
                raise duckdb.InterruptException
            try:
                yield
            except (duckdb.InterruptException, StoreUnavailableError):
                if self._disconnected:
                    raise StoreUnavailableError(DISCONNECTED) from None
                raise

    def next_batch(self) -> Any | None:
        """Return the next batch of the stream, None at the end."""
        with self.running():
            try:
                return next(iter(self.stream), None)
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
