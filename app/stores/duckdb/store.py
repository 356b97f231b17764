"""DuckDB behind both seams, on one file: the store for laptops and tests.

An append is one transaction, so a batch is stored wholly or not at all, and durable (write-ahead log,
fsync) when `append` returns. Appends of one table run one at a time; queries run concurrently, each on a
connection of its own. DuckDB blocks the thread that calls it, so calls run in threads, never on the loop.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import duckdb
import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import DAY_US, SECOND_US
from app.schema.table import Table
from app.stores.duckdb.file import (
    DEFAULT_LIMITS,
    MIN_PROBE_BYTES,
    DiskSpace,
    EmbeddedLimits,
    file_identity,
    is_about_room,
    open_file,
    write_and_remove,
)
from app.stores.duckdb.recent_keys import RecentKeys, key_of
from app.stores.duckdb.source import Queries, statement_of
from app.stores.duckdb.table_layout import duckdb_insert, json_encoder, quote
from app.stores.query import ArrowQuery, Deletion, Query
from app.stores.sink import (
    Outcome,
    RowEncode,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    StoreError,
    Uncertain,
)
from app.stores.source import Answer, LearnHorizon, Plan, ReadProfile, StoreUnavailableError
from app.stores.sql.statement import Statement
from app.telemetry.redaction import first_line

_CLOSE_S = 1.0  # how long `close` waits for the current write
_INTERRUPTED_S = 0.5  # and how much longer once it is interrupted
_log = logging.getLogger("sluice.writer")
_Result = TypeVar("_Result")


class EmbeddedStore:
    """The tables of one DuckDB file. It is an Appender per table (`appender`) and a QueryRunner."""

    profile = ReadProfile(
        # With dense rows, a longer slice would sort rows that the page never shows; one more query is cheap.
        first_slice_us=10 * SECOND_US,
        longest_slice_us=31 * DAY_US,  # a month without a match takes 5 to 20 ms
        first_look_up_us=10 * 366 * DAY_US,  # all there is: the hashes of ids are read in milliseconds
    )
    learn_horizon: LearnHorizon | None = None

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: str,
        tables: Sequence[Table],
        clock: Clock,
        limits: EmbeddedLimits,
    ) -> None:
        self._connection, self._path, self._tables = connection, path, tables
        self._by_name = {table.name: table for table in tables}
        self._identity, self._log = file_identity(path), Path(f"{path}.wal")
        self._clock, self._disk = clock, DiskSpace(path, limits.min_free_bytes)
        # Stamps that are not yet known to be durable, oldest first: a dict keeps the order of insertion.
        self._in_flight_us: dict[str, dict[int, None]] = {table.name: {} for table in tables}
        self._versions = dict.fromkeys(self._in_flight_us, 0)
        # One writing thread: batches of two tables never contend for locks, and stamps stay in order.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="duckdb-append")
        self._queries = Queries(connection)
        self._limits = limits
        self._recent = {table.name: RecentKeys(table.name, limits.lookback_us) for table in tables}
        for recent in self._recent.values():
            recent.load(connection, clock.now_us())
        self._is_invalid = self._is_closing = False
        self._failed_bytes = MIN_PROBE_BYTES

    @classmethod
    def open(cls, path: str, tables: Sequence[Table], clock: Clock, limits: EmbeddedLimits = DEFAULT_LIMITS) -> Self:
        """Open the file at `path` (":memory:" for none), create what is missing, and advance the clock past its rows.

        Raises:
            StoreError: the file is in use, is not a DuckDB file, or its tables are not the declared ones.
        """
        return cls(open_file(path, tables, clock, limits), path, tables, clock, limits)

    def appender(self, table: Table) -> "EmbeddedAppender":
        """Return the Appender of `table`."""
        return EmbeddedAppender(self, table)

    async def append(self, table: str, insert_sql: str, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows` and insert those that are no copies as one transaction; if cancelled before it, do nothing."""
        stamp_us = self._clock.now_us()
        # The stamp counts as in flight until the thread is done with it, even if the caller was cancelled.
        self._in_flight_us[table][stamp_us] = None
        work = self._writer.submit(self._append, table, insert_sql, stamp_us, rows)
        landed = asyncio.wrap_future(work)
        landed.add_done_callback(lambda _: self._landed(table, stamp_us))
        try:
            return await asyncio.shield(landed)
        except asyncio.CancelledError:
            work.cancel()  # has no effect once the thread has begun
            raise

    def _landed(self, table: str, stamp_us: int) -> None:
        del self._in_flight_us[table][stamp_us]
        self._versions[table] += 1

    def _append(self, table: str, insert_sql: str, stamp_us: int, rows: Sequence[bytes]) -> Outcome:
        obstacle = self._obstacle()
        if obstacle is not None:
            return obstacle
        outcome = self._insert(table, insert_sql, stamp_us, rows)
        # When the checkpoint after a commit fails, DuckDB invalidates the database, although the commit is durable. The
        # same rows, sent again, are copies then.
        if self._is_invalid:
            self._reopen()
        return self.obstacle() or outcome

    def _insert(self, table: str, insert_sql: str, stamp_us: int, rows: Sequence[bytes]) -> Outcome:
        positions, new = dict[str, int](), list[bytes]()
        for position, row in enumerate(rows):
            positions.setdefault(key_of(row), position)
        try:
            copies = self._recent[table].known(self._connection, [*positions], stamp_us)
            for key in copies:
                del positions[key]
            new = [rows[position] for position in positions.values()]
            with _transaction(self._connection) if copies else nullcontext():
                if copies:
                    self._recent[table].refresh(self._connection, copies, stamp_us)
                if new:
                    self._connection.execute(insert_sql, _values(stamp_us, new))
            if self._identity is not None and not self._log.exists():
                # A checkpoint has merged the write-ahead log, or it was deleted with acknowledged rows in it.
                self._connection.execute("CHECKPOINT")
        except (duckdb.DataError, duckdb.InvalidInputException, duckdb.ConstraintException) as error:
            if not new:  # it was no row that was refused
                return self._failure(error, 0)
            number, reason = self._refused(insert_sql, stamp_us, new, error)
            return RowsRefused({[*positions.values()][number]: RowError(reason)}, first_line(error))
        except duckdb.CatalogException as error:
            return SetupError(SinkState.NOT_FOUND, first_line(error))
        except duckdb.Error as error:  # a full disk, an I/O error: the transaction was rolled back
            return self._failure(error, sum(map(len, rows)))
        return Stored()

    def _refused(self, insert_sql: str, stamp_us: int, rows: Sequence[bytes], error: duckdb.Error) -> tuple[int, str]:
        """Return the first row that DuckDB refuses, of which its `error` names none, and why."""
        first, last = 0, len(rows)
        while last - first > 1:
            middle = (first + last) // 2
            self._connection.execute("BEGIN")
            try:
                self._connection.execute(insert_sql, _values(stamp_us, rows[first:middle]))
                first = middle
            except duckdb.Error as found:
                last, error = middle, found
            finally:
                self._connection.execute("ROLLBACK")
        return first, first_line(error)

    def _failure(self, error: duckdb.Error, size_bytes: int) -> Uncertain | SetupError:
        """Return the outcome of a failed write; the next probe writes as many bytes."""
        self._is_invalid |= isinstance(error, duckdb.FatalException)
        self._failed_bytes = max(size_bytes, MIN_PROBE_BYTES)
        if is_about_room(str(error)):
            return SetupError(SinkState.DISK_FULL, first_line(error))
        return Uncertain(first_line(error))

    def obstacle(self) -> SetupError | None:
        """Return FILE_MISSING if the file at the path is not the open one; None otherwise. May run on any thread."""
        if file_identity(self._path) == self._identity:
            return None
        detail = f"{self._path} was deleted, moved or replaced while the service had it open"
        return SetupError(SinkState.FILE_MISSING, detail)

    def _obstacle(self) -> Uncertain | SetupError | None:
        """Return why nothing can be written now: the store is closing, without its file, short of space, or invalid."""
        if self._is_closing:
            return Uncertain("the store is closing")
        if (missing := self.obstacle()) is not None:
            return missing
        shortage = self._disk.shortage()
        if shortage is not None:
            return SetupError(SinkState.DISK_FULL, shortage)
        if self._is_invalid and not self._reopen():
            return Uncertain("DuckDB invalidated the database, which cannot be reopened yet")
        return None

    def _reopen(self) -> bool:
        """Reopen the file after DuckDB has declared the database invalid; return whether that worked.

        The write-ahead log restores what was durable; the clock is advanced past it.
        """
        if self.obstacle() is not None or not self._queries.disconnect():  # a new file would be an empty one
            return False
        self._shut()
        try:
            self._connection = open_file(self._path, self._tables, self._clock, self._limits)
        except StoreError as error:
            _log.warning("cannot reopen the database: %s", error)
            return False
        self._identity = file_identity(self._path)
        self._queries.connect(self._connection)
        self._is_invalid = False
        self._renew_versions()
        _log.warning("reopened the database after DuckDB had invalidated it")
        return True

    async def probe(self, table: str) -> SetupError | Stored:
        """Write to the disk and remove what was written; return Stored if rows can be stored again."""
        return await asyncio.wrap_future(self._writer.submit(self._probe, table))

    def _probe(self, table: str) -> SetupError | Stored:
        outcome: Outcome | None = self._obstacle()
        try:
            if outcome is None:
                self._connection.execute(f"SELECT 1 FROM {quote(table)} LIMIT 0")  # noqa: S608 - a quoted name
                write_and_remove(self._connection, self._failed_bytes)
        except duckdb.CatalogException as error:
            return SetupError(SinkState.NOT_FOUND, first_line(error))
        except duckdb.Error as error:
            outcome = self._failure(error, self._failed_bytes)
        if isinstance(outcome, Uncertain):
            return SetupError(SinkState.UNREACHABLE, outcome.detail)
        if isinstance(outcome, SetupError):
            return outcome
        self._failed_bytes = MIN_PROBE_BYTES
        return Stored()

    async def write(self, work: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        """Run `work` as one transaction, between two appends; queries see its changes once it returns.

        Raises:
            StoreUnavailableError: nothing was changed, or it is unknown whether anything was.
        """
        return await asyncio.wrap_future(self._writer.submit(self._write, work))

    def _write(self, work: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        if (missing := self.obstacle()) is not None:
            raise StoreUnavailableError(missing.detail)
        if self._is_closing or (self._is_invalid and not self._reopen()):
            raise StoreUnavailableError("the store is closing or reopening")
        try:
            with _transaction(self._connection):
                result = work(self._connection)
        except duckdb.Error as error:
            self._failure(error, 0)
            raise StoreUnavailableError(first_line(error)) from error
        self._renew_versions()
        return result

    def _renew_versions(self) -> None:
        """Count a change of every table: answers made before it are out of date."""
        for name in self._versions:
            self._versions[name] += 1

    def read_once(self, read: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        """Return the result of `read`. Blocks until the writing thread has run it: only while the service starts."""
        return self._writer.submit(read, self._connection).result()

    async def checkpoint(self) -> None:
        """Merge the write-ahead log into the file and free the blocks of deleted rows; a failure is only logged."""
        await asyncio.wrap_future(self._writer.submit(self._checkpoint))

    def _checkpoint(self) -> None:
        try:
            if self._obstacle() is None:
                self._connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            self._failure(error, 0)
            _log.warning("the checkpoint failed: %s", first_line(error))

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        return await self._queries.rows(self.statement(query))

    async def read(self, statement: Statement) -> Answer:
        """Return the rows of a statement, in its order."""
        return await self._queries.rows(statement)

    async def explain(self, query: Query) -> Plan:
        """Return the statement before it is rendered for DuckDB, which gives no estimate."""
        return self.statement(query).plan()

    def statement(self, query: Query | Deletion) -> Statement:
        """Return the statement of `query`, in BigQuery's dialect."""
        if query.table not in self._by_name:
            raise StoreUnavailableError(f"there is no table {query.table}")
        return statement_of(query, self._by_name[query.table])

    def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream."""
        return self._queries.arrow(self.statement(query))

    def lookback_from_us(self) -> int:
        """Return the beginning of the look-back: a row appended now is no copy of an older one."""
        return self._clock.now_us() - self._limits.lookback_us

    def horizon_us(self, table: str) -> int:
        """Return the oldest stamp in flight, or else now: the store's settle time is 0."""
        return next(iter(self._in_flight_us[table]), 0) or self._clock.now_us()

    def version(self, table: str) -> int:
        """Return a number that has grown once queries can see a change of `table`."""
        return self._versions[table]

    def close(self, within_s: float = _CLOSE_S) -> None:
        """Close the file; wait at most `within_s` seconds for the current write, then interrupt and abandon it.

        No acknowledged row is lost: the write-ahead log has it. Blocks: do not call it on the event loop.
        """
        self._is_closing = True  # queued writes do not begin
        self._queries.close()
        last = self._writer.submit(self._shut)
        self._writer.shutdown(wait=False)
        if not _ends(last, within_s):
            with suppress(duckdb.Error):  # it was closed just now
                self._connection.interrupt()
            if not _ends(last, _INTERRUPTED_S):
                _log.warning("closing while a write is in progress; acknowledged rows are durable")

    def _shut(self) -> None:
        if self.obstacle() is not None:
            return  # the last checkpoint would delete the write-ahead log of whatever is at the path now
        with suppress(duckdb.Error):
            self._connection.close()


def _values(stamp_us: int, rows: Sequence[bytes]) -> dict[str, int | str]:
    return {"ingest_us": stamp_us, "rows": "[" + b",".join(rows).decode() + "]"}


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


def _ends(work: Future[None], within_s: float) -> bool:
    return bool(wait([work], within_s).done)


_json = msgspec.json.Encoder()


class EmbeddedAppender:
    """The Appender of one table of an EmbeddedStore."""

    max_in_flight = target_in_flight = 1  # a second batch would only wait for the same thread
    # No row is late: the horizon waits for the oldest stamp in flight, and stops when the process does.
    lateness_limits = None

    def __init__(self, store: "EmbeddedStore", table: Table) -> None:
        self._store, self._table, self._insert_sql = store, table.name, duckdb_insert(table)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return an encoder of rows as JSON objects."""
        return json_encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one transaction, and return the outcome."""
        return await self._store.append(self._table, self._insert_sql, rows)

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` unchanged: no row is ever late here, so none needs another key."""
        return row

    async def check(self) -> SetupError | Stored:
        """Check that rows can be stored: write to the disk and remove what was written."""
        return await self._store.probe(self._table)

    async def close(self) -> None:
        """Do nothing: the store is closed as a whole."""
