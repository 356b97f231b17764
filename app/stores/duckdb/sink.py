"""The Appender of one table of the embedded store."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from app.schema.table import Table
from app.stores.duckdb.table_layout import duckdb_insert
from app.stores.sink import Outcome, RowEncode, SetupError, Stored

if TYPE_CHECKING:
    from app.stores.duckdb.store import EmbeddedStore

_json = msgspec.json.Encoder()


class EmbeddedAppender:
    """The Appender of one table of an EmbeddedStore."""

    max_in_flight = target_in_flight = 1  # a second batch would only wait for the same thread
    fence = None  # no row is late: the horizon waits for the oldest stamp in flight, and stops when the process does

    def __init__(self, store: "EmbeddedStore", table: Table) -> None:
        self._store, self._table, self._insert_sql = store, table.name, duckdb_insert(table)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return an encoder to JSON objects: the record, its own members of the envelope, then the shared ones."""
        shared = b"," + _json.encode(envelope)[1:]

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            own = _json.encode({"message_index": index, "delivery_key": delivery_key})
            return _json.encode(record)[:-1] + b"," + own[1:-1] + shared

        return encode

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
