"""Queries of the embedded store: BigQuery's dialect rendered for DuckDB, each in a thread and on a cursor of its own.

A query that is given up is interrupted. An export (Arrow) is read batch by batch, as fast as its reader takes them.
"""

import asyncio
import io
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, TypeVar

import duckdb
import msgspec

from app.query.runner import Answer, Query, QueryError, Scalar, StoreBusyError, StoreUnavailableError

_READERS = 3  # queries at once; more would only share the same two or four cores
_EXPORTERS = 2  # apart from those: a page does not wait for an export's rows
_INTERRUPT_AGAIN_S = 0.05
_FETCHED_ROWS = 256  # at once, where a query's bytes are limited
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - TIMESTAMP columns are UTC without saying so
_Result = TypeVar("_Result")


class Queries:
    """Runs queries over one DuckDB connection, beside whatever else uses it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="duckdb-query")
        self._exporters = ThreadPoolExecutor(_EXPORTERS, thread_name_prefix="duckdb-export")
        self._cursors: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()
        for _ in range(_READERS):
            self._cursors.put(connection.cursor())
        self._idle = connection.cursor()  # runs nothing; exports, which last, get cursors made of it

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        attempt = _Attempt()
        return await self._awaited(attempt, self._readers.submit(self._rows, query, attempt))

    async def arrow(self, query: Query) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream."""
        attempt = _Attempt()
        pieces = self._pieces(query, attempt)
        work: Future[bytes | None] | None = None
        try:
            while True:
                work = self._exporters.submit(next, pieces, None)
                piece = await self._awaited(attempt, work)
                if piece is None:
                    return
                yield piece
        finally:
            if work is None or work.done():  # else the interrupted thread ends it
                pieces.close()

    def close(self) -> None:
        """Wait for what runs."""
        self._readers.shutdown()
        self._exporters.shutdown()

    @staticmethod
    async def _awaited(attempt: "_Attempt", work: "Future[_Result]") -> _Result:
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            _interrupt(attempt, work)
            raise

    def _rows(self, query: Query, attempt: "_Attempt") -> Answer:
        cursor = self._cursors.get()
        try:
            with _named_errors(), attempt.running(cursor):
                cursor.execute(_to_duckdb(query.sql), _bound(query))
                description = cursor.description or []
                columns = [(name, _converter(type_)) for name, type_, *_ in description]
                fetched, size_bytes, cut = _fetched(cursor, [type_ for _, type_, *_ in description], query.max_bytes)
        finally:
            self._cursors.put(cursor)
        names = [name for name, _ in columns]
        converters = [(name, convert) for name, convert in columns if convert is not None]
        rows = [dict(zip(names, values, strict=True)) for values in fetched]
        for row in rows:
            for name, convert in converters:
                if (value := row[name]) is not None:
                    row[name] = convert(value)
        return Answer(rows, fetched_bytes=size_bytes, cut=cut)

    def _pieces(self, query: Query, attempt: "_Attempt") -> Generator[bytes, None, None]:
        import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only exports need it
        from nanoarrow.c_array_stream import CArrayStream  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise
        from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

        sink = io.BytesIO()
        cursor = self._idle.cursor()
        try:
            with _named_errors(), StreamWriter.from_writable(sink) as writer:
                with attempt.running(cursor):
                    found = nanoarrow.c_array_stream(cursor.sql(_to_duckdb(query.sql), params=_bound(query)))
                writer.write_stream(CArrayStream.from_c_arrays([], _with_utc(found.get_schema())))
                yield _taken(sink)
                while (batch := attempt.next_of(found, cursor)) is not None:
                    writer.write_array(batch)
                    yield _taken(sink)
            yield _taken(sink)  # the mark of the end, which the writer sets when it is closed
        finally:
            cursor.close()


class _Attempt:
    """A query, seen from the thread that runs it and from the loop, which may give it up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._given_up = False

    def give_up(self) -> None:
        """Interrupt the query if it runs, and let it not begin if it does not."""
        with self._lock:
            self._given_up = True
            if self._cursor is not None:
                self._cursor.interrupt()

    @contextmanager
    def running(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Name the cursor that is to be interrupted, as long as it is this query's."""
        with self._lock:
            if self._given_up:
                raise duckdb.InterruptException
            self._cursor = cursor
        try:
            yield
        finally:
            with self._lock:
                self._cursor = None

    def next_of(self, batches: Any, cursor: duckdb.DuckDBPyConnection) -> Any | None:
        """Return the next batch, None at the end."""
        with self.running(cursor):
            try:
                return next(iter(batches), None)
            except RuntimeError as error:  # how nanoarrow says what DuckDB failed at
                raise StoreUnavailableError(str(error).partition("\n")[0]) from error


def _interrupt(attempt: _Attempt, work: "Future[Any]") -> None:
    """Interrupt `attempt` until `work` has ended: DuckDB forgets an interrupt that comes before the query begins.

    By a timer of its own, since the loop may be waiting in `close` by then.
    """
    if not work.done():
        attempt.give_up()
        again = threading.Timer(_INTERRUPT_AGAIN_S, _interrupt, (attempt, work))
        again.daemon = True
        again.start()


@contextmanager
def _named_errors() -> Iterator[None]:
    """Raise DuckDB's errors as the QueryErrors they mean; what is left is a defect of the query's text."""
    try:
        yield
    except duckdb.Error as error:
        named = _query_error(error)
        if named is None:
            raise
        raise named from error


def _query_error(error: duckdb.Error) -> QueryError | None:
    message = str(error).partition("\n")[0]
    match error:
        case duckdb.OutOfMemoryException():
            return StoreBusyError(message)
        case duckdb.IOException() | duckdb.FatalException() | duckdb.ConnectionException() | duckdb.CatalogException():
            return StoreUnavailableError(message)
        case _:
            return None


@lru_cache(256)
def _to_duckdb(sql: str) -> str:
    """Render a query of BigQuery's dialect for DuckDB."""
    from sqlglot import transpile  # noqa: PLC0415 - a third of a second that start-up need not wait for

    return transpile(sql, read="bigquery", write="duckdb")[0]


def _bound(query: Query) -> dict[str, Scalar | datetime]:
    return {
        name: _EPOCH + timedelta(microseconds=value) if name.endswith("_us") and isinstance(value, int) else value
        for name, value in query.parameters.items()
    }


def _fetched(
    cursor: duckdb.DuckDBPyConnection, types: list[Any], max_bytes: int | None
) -> tuple[list[tuple[Any, ...]], int, bool]:
    """Return the rows that `cursor` holds, as far as they come to `max_bytes`; their bytes; whether there are more."""
    if max_bytes is None:
        return cursor.fetchall(), 0, False
    fixed_bytes = 8 * len(types)
    texts = [index for index, type_ in enumerate(types) if type_.id in _SIZED]
    nested = [index for index, type_ in enumerate(types) if type_.id in _NESTED]
    fetched: list[tuple[Any, ...]] = []
    total_bytes = 0
    while part := cursor.fetchmany(_FETCHED_ROWS):
        for values in part:
            row_bytes = fixed_bytes + sum(len(values[index] or "") for index in texts)
            row_bytes += sum(len(str(values[index])) for index in nested)
            if total_bytes + row_bytes > max_bytes and fetched:
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
    """Return an Arrow schema whose instants are said to be in UTC, which they are."""
    children = [_with_utc(child) for child in schema.children]
    return schema.modify(format="tsu:UTC" if schema.format == "tsu:" else schema.format, children=children)


def _converter(type_: Any) -> Callable[[Any], Any] | None:
    """Return what makes of a value of DuckDB's `type_` the one the QueryRunner promises; None: nothing to do."""
    match str(type_), type_.id:
        case "JSON", _:
            return _raw_json
        case _, "timestamp":
            return _in_utc
        case _, "list":
            item = _converter(type_.children[0][1])
            return item and partial(_convert_list, item)
        case _, "struct":
            fields = [(name, convert) for name, child in type_.children if (convert := _converter(child)) is not None]
            return partial(_convert_struct, fields) if fields else None
        case _:
            return None


def _raw_json(value: str) -> msgspec.Raw:
    return msgspec.Raw(value.encode())


def _in_utc(value: datetime | str) -> datetime | str:
    # What Python has no datetime for, DuckDB hands out as text; one such row must not fail its page.
    return value if isinstance(value, str) else value.replace(tzinfo=UTC)


def _convert_list(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _convert_struct(fields: list[tuple[str, Callable[[Any], Any]]], value: dict[str, Any]) -> dict[str, Any]:
    for name, convert in fields:
        if value[name] is not None:
            value[name] = convert(value[name])
    return value
