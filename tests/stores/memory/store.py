"""A third store, as small as one can be: rows in lists, and queries evaluated in Python, row by row.

It shares nothing with the others but the seams, so it is a second implementation of what a query means. There is one
instance, and a row is settled as soon as it is stored.
"""

import enum
import pickle
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC
from functools import cache
from typing import Any

import msgspec

from app.query.formats.arrow_batches import ArrowEncoder
from app.runtime.clock import Clock
from app.runtime.instants import HOUR_US, epoch_us, from_epoch_us
from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.settings.load import Settings
from app.stores import query as q
from app.stores.backend import Backend
from app.stores.query import Position, Query
from app.stores.sink import Outcome, RowEncode, RowError, RowsRefused, SetupError, SinkState, Stored
from app.stores.source import Answer, Plan, StoreUnavailableError, shown_value
from tests.stores.memory.evaluation import Row, found, meets, page

_PROCESS = defaultdict[str, "dict[str, list[Row]]"](dict)


class MemoryStore:
    """The tables of one process: a QueryRunner and an Eraser."""

    partition_us = 1
    first_slice_us = first_look_up_us = HOUR_US
    export_rows = None
    poll_s, open_ttl_s, learns_within_s = 0.25, 1.0, 0.0

    def __init__(self, tables: Sequence[Table], clock: Clock, stored: dict[str, list[Row]]) -> None:
        self.clock, self.stored, self.generation = clock, stored, 0
        self.columns = {table.name: {column.name: column for column in table.columns} for table in tables}
        for name in self.columns:
            stored.setdefault(name, [])
        self._versions = Counter[str]()

    def appender(self, table: Table) -> "MemoryAppender":
        """Return the Appender of `table`."""
        return MemoryAppender(self, table)

    def insert(self, table: str, rows: Iterable[tuple[int, bytes]]) -> None:
        """Store all rows with their stamps, or raise ValueError if one does not fit the table."""
        new = [pickle.loads(row) | {"ingest_time": from_epoch_us(us)} for us, row in rows]  # noqa: S301 - the encoder's own
        for values in new:
            for column in self.columns[table].values():
                _check(column, values[column.name])
        self.stored[table] += [Row(Position(epoch_us(row["ingest_time"]), row["delivery_key"]), row) for row in new]
        self.stored[table].sort(key=lambda row: row.place)
        self._versions[table] += 1

    def horizon_us(self, table: str) -> int:
        """Return now: a row is stored at the moment of its stamp."""
        return self.clock.now_us()

    def version(self, table: str) -> int:
        """Return how often `table` was changed."""
        return self._versions[table]

    async def explain(self, query: Query) -> Plan:
        """Return the query as it is: there is nothing to render."""
        values = [each for condition in getattr(query, "conditions", ()) for each in condition.values]
        return Plan(repr(query), {f"value_{number}": shown_value(each) for number, each in enumerate(values)})

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        stored = self._rows_of(query.table)
        return page(query, stored) if isinstance(query, q.RowQuery) else Answer(found(query, stored))

    async def arrow(self, query: q.ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream."""
        rows = (await self.rows(query)).rows
        encoder = ArrowEncoder(tuple(self.columns[query.table][name] for name in query.columns))
        yield encoder.begin()
        yield encoder.rows(rows)
        yield encoder.end()

    async def delete(self, query: q.Deletion) -> int:
        """Delete rows; return how many were removed."""
        stored = self._rows_of(query.table)
        gone = [row for row in stored if query.first_us <= row.place.ingest_us <= query.last_us]
        gone = [row for row in gone if meets(query.conditions, row)]
        self.stored[query.table] = [row for row in stored if row not in gone]
        self._versions[query.table] += 1
        return len(gone)

    async def advance(self) -> None:
        """Count one more erasure."""
        self.generation += 1

    def _rows_of(self, table: str) -> list[Row]:
        if table not in self.stored:
            raise StoreUnavailableError(f"there is no table {table}")
        return self.stored[table]


class MemoryAppender:
    """The Appender of one table of a MemoryStore."""

    max_in_flight = target_in_flight = 1
    fence = None

    def __init__(self, store: MemoryStore, table: Table) -> None:
        self._store, self._table = store, table

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return an encoder to pickles of the values by column."""

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            own = {"message_index": index, "delivery_key": delivery_key, **envelope}
            of_record = {
                column.name: _value(column, getattr(record, column.attribute)) for column in self._table.record
            }
            of_envelope = {each.name: _value(each, own[each.name]) for each in self._table.envelope if each.name in own}
            return pickle.dumps(of_record | of_envelope)

        return encode

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows` and store them, all or none."""
        obstacle = await self.check()
        if obstacle is not None:
            return obstacle
        stamp_us = self._store.clock.now_us()
        try:
            self._store.insert(self._table.name, [(stamp_us, row) for row in rows])
        except ValueError as error:
            return RowsRefused({0: RowError(str(error))} if len(rows) == 1 else {})
        return Stored()

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row`: none is ever late here."""
        return row

    async def check(self) -> SetupError | None:
        """Return an obstacle if the table is gone."""
        name = self._table.name
        return None if name in self._store.stored else SetupError(SinkState.NOT_FOUND, f"there is no table {name}")

    async def close(self) -> None:
        """Do nothing."""


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the store of `data_path`, which lasts as long as the process."""
    store = MemoryStore(tables, clock, _PROCESS[settings.store.data_path])
    return Backend(
        name=f"memory:{id(store)}",
        system="memory",
        appender=cache(store.appender),
        runner=store,
        eraser=store,
        upkeep=lambda _: [],
        close=lambda: MemoryAppender(store, tables[0]).close(),
        connections=dict,
    )


def _value(column: Column, value: Any) -> Any:
    """Return a record's value as a QueryRunner promises it."""
    if column.mode is Mode.REPEATED:
        item = msgspec.structs.replace(column, mode=Mode.NULLABLE)
        return [_value(item, each) for each in value or ()]
    if value is None and (column.kind is not Kind.JSON or column.mode is Mode.NULLABLE):
        return None
    match column.kind:
        case Kind.JSON:
            return msgspec.Raw(msgspec.json.encode(value))
        case Kind.STRUCT:
            return {field.name: _value(field, getattr(value, field.attribute)) for field in column.fields}
        case Kind.TIMESTAMP:
            return value.astimezone(UTC)
        case _:
            plain = value.value if isinstance(value, enum.Enum) else value
            return str(plain) if column.is_uuid else plain


def _check(column: Column, value: Any) -> None:
    if value is None and column.mode is Mode.REQUIRED:
        raise ValueError(f"{column.name} has no value")
    values = value if column.mode is Mode.REPEATED else [value]
    if column.kind is Kind.NUMERIC and any(each is not None and each.copy_abs() >= 10**29 for each in values):
        raise ValueError(f"{column.name}: {value} is too large")
