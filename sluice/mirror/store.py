"""The file of a mirror: an embedded store whose rows, erasures and positions change in one transaction."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import duckdb
import msgspec

from app.runtime.instants import DAY_US
from app.schema.table import Table
from app.stores.duckdb.loading import columns_of_arrow, load
from app.stores.duckdb.store import EmbeddedStore
from app.stores.duckdb.table_layout import hash_column, hash_sql, quote
from app.stores.erasures import ERASURES
from app.stores.query import Position
from app.stores.sink import StoreError
from app.stores.source import StoreUnavailableError
from sluice.mirror.source import SourceStream

_POSITIONS = "sluice_mirror"
_SOURCE = ""  # its row has the URL of the source, and the generation
_LOAD_ERASURES = (
    f"INSERT INTO {ERASURES} (stream, digest, until, ingest_time, delivery_key, message_index, attributes) "  # noqa: S608 - a constant
    "SELECT $stream, digest, until::TIMESTAMP, ingest_time::TIMESTAMP, delivery_key, 0, '{}' FROM _rows",
)


class MissedErasuresError(StoreError):
    """Erasures may have been forgotten at the source before they were read."""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a stream behind its positions: Arrow IPC streams, and how far they reach.

    `read_to` is None in the middle of an export, for as far as its last row; `erased_to`, if records have no id.
    """

    rows: Sequence[bytes]
    read_to: Position | None
    erasures: Sequence[bytes] = ()
    erased_to: Position | None = None


class MirrorStore(EmbeddedStore):
    """The tables of a mirror. Their horizon is how far the source was read."""

    profile = msgspec.structs.replace(EmbeddedStore.profile, lags=True)

    def __init__(self, *opened: Any) -> None:
        super().__init__(*opened)
        self._positions: dict[str, Position] = {}
        self._erasures: tuple[str, ...] = ()
        self._kept_us = 0

    def begin(self, url: str, streams: Sequence[SourceStream], days: int) -> bool:
        """Read the positions, and set those that are missing: to where the kept records and erasures, of `days`, begin.

        All erasures are read, although an export has none of their records: a mirror of this one may need them. Return
        False if erasures were missed: do not use the file then. Blocks.

        Raises:
            StoreError: the file is a mirror of another source, or none.
        """
        now_us, self._kept_us = self._clock.now_us(), days * DAY_US
        self._erasures = tuple(_erasures_of(each) for each in streams if each.erasures)
        begin = Position(now_us - self._kept_us, "")
        starts = {_SOURCE: Position(now_us, url)} | {stream.name: begin for stream in streams}
        starts |= dict.fromkeys(self._erasures, begin)
        self._positions = self.read_once(partial(self._begun, starts))
        if (other := self._positions[_SOURCE].delivery_key) != url:
            raise StoreError(
                f"{self._path} is a mirror of {other}, not of {url}: set another SLUICE_DATA_PATH, or move it away"
            )
        return not any(self.read_once(partial(self._has_missed_erasures, each)) for each in streams)

    @property
    def generation(self) -> int:
        """The time of the last erasure, or of the first start."""
        return self._positions[_SOURCE].ingest_us

    def read_to(self, stream: SourceStream) -> Position:
        """Return how far the records of a stream were read."""
        return self._positions[stream.name]

    def erased_to(self, stream: SourceStream) -> Position:
        """Return how far its erasures were read."""
        return self._positions[_erasures_of(stream)]

    def horizon_us(self, table: str) -> int:
        """Return how far the source was read, erasures included; the rejects are its own, and there are none."""
        feeds = self._erasures if table == ERASURES else (table, f"{table} {ERASURES}")
        read = [self._positions[feed].ingest_us for feed in feeds if feed in self._positions]
        return min(read) if read else super().horizon_us(table)

    async def commit(self, stream: SourceStream, fetched: Fetched) -> int:
        """Store rows, apply erasures and move the positions, as one transaction; return how many rows there are.

        Raises:
            StoreUnavailableError: it may have happened or not, as without free space: `reload` says.
            MissedErasuresError: it did not.
        """
        rows, erasures, moved = await self.write(partial(self._commit, stream, fetched))
        self._positions |= moved
        self._renew_versions()  # again: the horizon has moved since
        if erasures:
            await self.checkpoint()
        return rows

    async def reload(self) -> None:
        """Read the positions again.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        self._positions = await self.write(_stored_positions)

    def _commit(
        self, stream: SourceStream, fetched: Fetched, connection: duckdb.DuckDBPyConnection
    ) -> tuple[int, int, dict[str, Position]]:
        if self._has_missed_erasures(stream, connection):
            raise MissedErasuresError(
                "the source was away for longer than erasures are kept: restart the mirror, to fill it again"
            )
        before, table = self._positions[stream.name], stream.table
        rows = sum(load(connection, each, (_insert(table),)) for each in fetched.rows)
        if rows and (shortage := self._disk.shortage()):
            raise StoreUnavailableError(shortage)
        moved = {stream.name: fetched.read_to or _last(connection, table, before)}
        erasures = sum(load(connection, each, _LOAD_ERASURES, {"stream": stream.name}) for each in fetched.erasures)
        if fetched.erased_to is not None:
            moved[_erasures_of(stream)] = fetched.erased_to
        if stream.erasures is not None:
            # All that are known are applied to new rows: an export may be older than erasures that were read before.
            passes = [(before.ingest_us, 0), (0, self.erased_to(stream).ingest_us)]
            for from_us, erased_us in passes if erasures else passes[:1]:
                values = {"stream": stream.name, "from_us": from_us, "erased_us": erased_us}
                connection.execute(_delete_erased(table), values)
        if erasures:
            source = self._positions[_SOURCE]
            moved[_SOURCE] = Position(max(self._clock.now_us(), source.ingest_us + 1), source.delivery_key)
        for feed, position in moved.items():
            _move(connection, feed, position)
        return rows, erasures, moved

    def _begun(self, starts: dict[str, Position], connection: duckdb.DuckDBPyConnection) -> dict[str, Position]:
        found = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [_POSITIONS])
        if found.fetchone() is None and any(_has_rows(each.name, connection) for each in self._tables):
            raise StoreError(f"{self._path} has records and is no mirror's file: set another SLUICE_DATA_PATH")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_POSITIONS} (feed VARCHAR, ingest_us BIGINT, delivery_key VARCHAR)"
        )
        known = _stored_positions(connection)
        for feed in starts.keys() - known.keys():
            _move(connection, feed, starts[feed])
        return starts | known

    def _has_missed_erasures(self, stream: SourceStream, connection: duckdb.DuckDBPyConnection) -> bool:
        """Return whether there are records, and erasures were read so long ago that some may be forgotten since."""
        read_to = self._positions.get(_erasures_of(stream))
        if read_to is None or read_to.ingest_us >= self._clock.now_us() - self._kept_us:
            return False
        return _has_rows(stream.name, connection)


def _erasures_of(stream: SourceStream) -> str:
    return f"{stream.name} {ERASURES}"


def _has_rows(table: str, connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute(f"SELECT 1 FROM {quote(table)} LIMIT 1").fetchone() is not None  # noqa: S608 - a quoted name


def _stored_positions(connection: duckdb.DuckDBPyConnection) -> dict[str, Position]:
    rows = connection.execute(f"SELECT feed, ingest_us, delivery_key FROM {_POSITIONS}").fetchall()  # noqa: S608 - a constant
    return {feed: Position(ingest_us, key) for feed, ingest_us, key in rows}


def _move(connection: duckdb.DuckDBPyConnection, feed: str, position: Position) -> None:
    connection.execute(f"DELETE FROM {_POSITIONS} WHERE feed = ?", [feed])  # noqa: S608 - a constant
    values = [feed, position.ingest_us, position.delivery_key]
    connection.execute(f"INSERT INTO {_POSITIONS} VALUES (?, ?, ?)", values)  # noqa: S608 - a constant


def _insert(table: Table) -> str:
    names, values = ", ".join(quote(each.name) for each in table.columns), columns_of_arrow(table)
    if table.id is not None:
        names, values = f"{names}, {quote(hash_column(table))}", f"{values}, {hash_sql(quote(table.id.name))}"
    return f"INSERT INTO {quote(table.name)} ({names}) SELECT {values} FROM _rows"  # noqa: S608 - quoted names


def _last(connection: duckdb.DuckDBPyConnection, table: Table, before: Position) -> Position:
    """Return the position of the last row, at or after the one `before`."""
    sql = (
        f"SELECT epoch_us(ingest_time), delivery_key FROM {quote(table.name)} "  # noqa: S608 - a quoted name
        "WHERE ingest_time >= make_timestamp($from_us::BIGINT) ORDER BY ALL DESC LIMIT 1"
    )
    row = connection.execute(sql, {"from_us": before.ingest_us}).fetchone()
    return before if row is None else Position(*row)


def _delete_erased(table: Table) -> str:
    name, record_id = quote(table.name), quote(table.id.name if table.id else "")
    return f"""\
DELETE FROM {name}
WHERE ingest_time >= make_timestamp($from_us::BIGINT) AND EXISTS (
  SELECT 1 FROM {ERASURES}
  WHERE {ERASURES}.ingest_time >= make_timestamp($erased_us::BIGINT) AND {ERASURES}.stream = $stream
    AND {ERASURES}.digest = sha256({name}.{record_id}::VARCHAR) AND {ERASURES}.until >= {name}.ingest_time
)"""  # noqa: S608 - quoted names
