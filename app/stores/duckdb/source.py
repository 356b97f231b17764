"""Queries of the embedded store: BigQuery's dialect rendered for DuckDB, each on a thread and a cursor of its own.

A cancelled query is interrupted. An export (Arrow) is read batch by batch, as fast as its client reads.
"""

import asyncio
import io
import math
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import repeat
from typing import Any, TypeVar

import duckdb
import msgspec

from app.runtime.instants import TimeRange
from app.schema.table import Table
from app.stores.duckdb.table_layout import NUMERIC, converter, hash_column, id_hash
from app.stores.query import Deletion, LookUp, Originals, Query, Scalar, State
from app.stores.source import Answer, QueryError, StoreBusyError, StoreUnavailableError
from app.stores.sql.projection import source_of
from app.stores.sql.statement import Statement, render, render_state
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
        self._is_given_up = False

    def give_up(self) -> None:
        """Interrupt the query if it is running, and keep it from starting: it raises StoreUnavailableError."""
        self._is_given_up = True
        with suppress(duckdb.Error):  # a closed cursor has nothing to interrupt
            self.cursor.interrupt()

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
            if self._is_given_up:
                raise StoreUnavailableError(DISCONNECTED)
            try:
                yield
            except duckdb.InterruptException:
                raise StoreUnavailableError(DISCONNECTED) from None

    def next_batch(self) -> Any | None:
        """Return the next batch of the stream, None at the end."""
        with self.running():
            try:
                return next(iter(self.stream), None)
            except RuntimeError as error:  # how nanoarrow reports an error of DuckDB
                raise StoreUnavailableError(first_line(error)) from error


_READERS = 3  # queries at once; more would only share the same two or four cores
_EXPORTERS = 2  # in addition, so that a page never waits for an export
_RELEASE_S = 2.0
_FETCHED_ROWS = 256  # at a time, if a query's bytes are limited
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - TIMESTAMP columns are in UTC, without a time zone
_transpiling = threading.Lock()
"""SQLGlot imports its dialects when they are first used, which two threads must not do at once."""
_Result = TypeVar("_Result")


def statement_of(query: Query | Deletion, table: Table) -> Statement:
    """Return the statement of `query` over a `table` without copies, which shows promoted members as columns."""
    source = source_of(query, table)
    if isinstance(query, Originals):
        query = msgspec.structs.replace(query, lookback_us=0)
    if isinstance(query, State):
        if not query.sequence:  # what was stored before these rows replaces none of them
            query = msgspec.structs.replace(query, folded=TimeRange(query.within.from_us, query.folded.to_us))
        return render_state(query, source, hash_column(table))
    if not isinstance(query, LookUp):
        return render(query, source)
    narrowed = f"(SELECT * FROM {source} WHERE `{hash_column(table)}` = @id_hash)"  # noqa: S608 - names of a declaration
    statement = render(query, narrowed)
    parameters = {**statement.parameters, "id_hash": id_hash(query.record_id)}
    return msgspec.structs.replace(statement, parameters=parameters)


class Queries:
    """Runs queries over one DuckDB connection, concurrently with its other users."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="duckdb-query")
        self._exporters = ThreadPoolExecutor(_EXPORTERS, thread_name_prefix="duckdb-export")
        self._lock = threading.Lock()
        self._idle, self._is_connected = connection.cursor(), True  # each query gets a duplicate of it
        self._attempts: set[Attempt] = set()

    async def rows(self, statement: Statement) -> Answer:
        """Return the rows of `statement`, in its order."""
        attempt = self._begin()
        work = self._readers.submit(self._rows, statement, attempt)
        work.add_done_callback(lambda _: self._end(attempt))
        return await self._awaited(attempt, work)

    async def arrow(self, statement: Statement) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `statement`, in its order, as the pieces of one Arrow IPC stream."""
        attempt = self._begin()
        pieces = self._pieces(statement, attempt)
        work: Future[bytes | None] | None = None
        try:
            while True:
                work = self._exporters.submit(next, pieces, None)
                piece = await self._awaited(attempt, work)
                if piece is None:
                    return
                yield piece
        finally:
            if work is None or work.done():
                pieces.close()
                self._end(attempt)
            else:  # the interrupted thread ends it
                work.add_done_callback(lambda _: self._end(attempt))

    def disconnect(self, within_s: float = _RELEASE_S) -> bool:
        """Interrupt queries and release the database; return False if it was still in use after `within_s` seconds.

        DuckDB reopens a file only when nothing refers to the old instance: no cursor, and no stream of an export.
        Until `connect`, queries raise StoreUnavailableError.
        """
        deadline_s = time.monotonic() + within_s
        with self._lock:
            self._is_connected, attempts = False, tuple(self._attempts)
        for attempt in attempts:
            attempt.give_up()
        released = [attempt.release(deadline_s) for attempt in attempts]
        if all(released):
            self._idle.close()  # with its duplicates, so DuckDB refuses while one of them is busy
        return all(released)

    def connect(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Run queries over `connection` from now on, after a `disconnect` that returned True."""
        self._idle, self._is_connected = connection.cursor(), True

    def close(self, within_s: float = _RELEASE_S) -> None:
        """Start no more queries and interrupt those that run; abandon any that take longer than `within_s` seconds."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._exporters.shutdown(wait=False, cancel_futures=True)
        self.disconnect(within_s)

    def _begin(self) -> Attempt:
        with self._lock:
            if not self._is_connected:
                raise StoreUnavailableError(DISCONNECTED)
            attempt = Attempt(self._idle.cursor())
            self._attempts.add(attempt)
        return attempt

    def _end(self, attempt: Attempt) -> None:
        attempt.release(time.monotonic())
        with self._lock:
            self._attempts.discard(attempt)

    @staticmethod
    async def _awaited(attempt: Attempt, work: Future[_Result]) -> _Result:
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            attempt.give_up()  # and again by a thread of its own: the event loop may be blocked in `close`
            threading.Thread(target=attempt.release, args=(math.inf,), name="duckdb-interrupt", daemon=True).start()
            raise

    @staticmethod
    def _rows(statement: Statement, attempt: Attempt) -> Answer:
        with _named_errors(), attempt.running():
            cursor = attempt.cursor.execute(to_duckdb(statement.sql), bound(statement))
            description = cursor.description or []
            names, types = [name for name, *_ in description], [type_ for _, type_, *_ in description]
            converters = [converter(type_) for type_ in types]
            fetched, size_bytes, cut = _fetched(cursor, types, statement.max_bytes)
        # Column by column, which takes a third less time than row by row.
        columns: list[Iterable[Any]] = [*zip(*fetched, strict=True)]
        columns = [
            values if convert is None else map(convert, values)
            for convert, values in zip(converters, columns, strict=bool(columns))
        ]
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        return Answer(rows, fetched_bytes=size_bytes, cut=cut)

    @staticmethod
    def _pieces(statement: Statement, attempt: Attempt) -> Generator[bytes, None, None]:
        import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only exports need it
        from nanoarrow.c_array_stream import CArrayStream  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise
        from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

        sink = io.BytesIO()
        with _named_errors(), StreamWriter.from_writable(sink) as writer:
            with attempt.running():
                found = attempt.cursor.sql(to_duckdb(statement.sql), params=bound(statement))
                attempt.stream = nanoarrow.c_array_stream(found)
                schema = attempt.stream.get_schema()
            writer.write_stream(CArrayStream.from_c_arrays([], _with_utc(schema)))
            yield _taken(sink)
            while (batch := attempt.next_batch()) is not None:
                writer.write_array(batch)
                yield _taken(sink)
        yield _taken(sink)  # the end-of-stream marker, which the writer adds when it is closed


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn DuckDB's errors into QueryErrors; any other one is a defect of the statement's text."""
    try:
        yield
    except duckdb.Error as error:
        named = _query_error(error)
        if named is None:
            raise
        raise named from error


def _query_error(error: duckdb.Error) -> QueryError | None:
    message = first_line(error)
    match error:
        case duckdb.OutOfMemoryException():
            return StoreBusyError(message)
        case duckdb.IOException() | duckdb.FatalException() | duckdb.ConnectionException() | duckdb.CatalogException():
            return StoreUnavailableError(message)
        case _:
            return None


@lru_cache(256)
def to_duckdb(sql: str) -> str:
    """Return a statement in BigQuery's dialect, rendered for DuckDB.

    Casts are to the types of columns: NUMERIC with its precision, and TIMESTAMP without a time zone. Distinct values
    are counted exactly.
    """
    with _transpiling:
        from sqlglot import exp, parse_one  # noqa: PLC0415 - a third of a second that start-up need not wait for

        def with_own_type(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Cast) and node.to.is_type("decimal") and not node.to.expressions:
                node.set("to", exp.DataType.build(NUMERIC, dialect="duckdb"))
            elif isinstance(node, exp.Cast) and node.to.is_type("timestamptz"):
                return exp.AtTimeZone(this=node, zone=exp.Literal.string("UTC"))
            elif isinstance(node, exp.ApproxDistinct):
                return exp.Count(this=exp.Distinct(expressions=[node.this]))
            return node

        return parse_one(sql, read="bigquery").transform(with_own_type).sql("duckdb")


def bound(statement: Statement) -> dict[str, Scalar | datetime]:
    """Return the parameters of `statement` as DuckDB expects them."""
    return {
        name: _EPOCH + timedelta(microseconds=value) if name.endswith("_us") and isinstance(value, int) else value
        for name, value in statement.parameters.items()
    }


def _fetched(
    cursor: duckdb.DuckDBPyConnection, types: list[Any], max_bytes: int | None
) -> tuple[list[tuple[Any, ...]], int, bool]:
    """Return the rows of `cursor` up to about `max_bytes`, their size in bytes, and whether there are more."""
    if max_bytes is None:
        return cursor.fetchall(), 0, False
    texts = [index for index, type_ in enumerate(types) if type_.id in _SIZED]
    nested = [index for index, type_ in enumerate(types) if type_.id in _NESTED]
    fetched: list[tuple[Any, ...]] = []
    total_bytes = 0
    while part := cursor.fetchmany(_FETCHED_ROWS):
        columns = [*zip(*part, strict=True)]  # column by column, which takes less time
        sizes: list[Iterable[int]] = [repeat(8 * len(types), len(part))]
        sizes += [map(len, [text or "" for text in columns[index]]) for index in texts]
        sizes += [map(len, map(str, columns[index])) for index in nested]
        for values, row_bytes in zip(part, map(sum, zip(*sizes, strict=True)), strict=True):
            if fetched and total_bytes + row_bytes > max_bytes:
                return fetched, total_bytes, True
            total_bytes += row_bytes
            fetched.append(values)
    return fetched, total_bytes, False


_SIZED = {"varchar", "blob"}
_NESTED = {"list", "struct"}


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece


def _with_utc(schema: Any) -> Any:
    """Return an Arrow schema with its instants marked as UTC, which they are."""
    children = [_with_utc(child) for child in schema.children]
    return schema.modify(format="tsu:UTC" if schema.format == "tsu:" else schema.format, children=children)
