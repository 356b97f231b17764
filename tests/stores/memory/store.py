"""A third store, as small as one can be: rows in lists, and queries evaluated in Python, row by row.

It shares only the seams with the others, so it is a second implementation of what a query means. There is one
instance, and a row is settled as soon as it is stored.
"""

import math
import pickle
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, partial
from itertools import accumulate, repeat
from operator import ge, gt, le, lt
from typing import Any, assert_never

import msgspec

from app.query.answer.arrow import ArrowEncoder
from app.query.request.scan import position_of
from app.runtime.clock import Clock
from app.runtime.instants import HOUR_US, epoch_us, from_epoch_us
from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.settings.load import Settings
from app.stores import query as q
from app.stores.backend import Backend
from app.stores.erasures import ErasedRecord, erasures_table, record_erasure
from app.stores.sink import Outcome, RowEncode, RowError, RowsRefused, SetupError, SinkState, Stored
from app.stores.source import Answer, LearnHorizon, Plan, ReadProfile, Row, StoreUnavailableError
from tests.stores.promoted import promoted

_COMPARE: dict[str, Any] = {"lt": lt, "lte": le, "gt": gt, "gte": ge, "prefix": str.startswith}
_PROCESS = defaultdict[str, defaultdict[str, list[Row]]](lambda: defaultdict(list))


class MemoryStore:
    """The tables of one process: a QueryRunner and an Eraser."""

    profile = ReadProfile(first_slice_us=HOUR_US, first_look_up_us=HOUR_US)
    learn_horizon: LearnHorizon | None = None

    def __init__(self, tables: Sequence[Table], clock: Clock, stored: dict[str, list[Row]]) -> None:
        tables = (*tables, erasures_table())
        self.clock, self.stored, self.generation, self._versions = clock, stored, 0, Counter[str]()
        self._declared = {table.name: table for table in tables}
        self.tables = {table.name: {column.name: column for column in table.columns} for table in tables}

    def insert(self, table: str, rows: Iterable[tuple[int, bytes]]) -> None:
        """Store all rows with their stamps, or raise ValueError if one does not fit the table."""
        stamped = [pickle.loads(row) | {"ingest_time": from_epoch_us(us)} for us, row in rows]  # noqa: S301 - our own
        new = [{name: _value(column, row.get(name)) for name, column in self.tables[table].items()} for row in stamped]
        self.stored[table] = sorted([*self.stored[table], *new], key=position_of)
        self._versions[table] += 1

    def horizon_us(self, table: str) -> int:
        return self.clock.now_us()

    def version(self, table: str) -> int:
        return self._versions[table]

    async def explain(self, query: q.Query) -> Plan:
        values = [each for condition in getattr(query, "conditions", ()) for each in condition.values]
        return Plan(repr(query), {f"value_{number}": each for number, each in enumerate(values)})

    async def rows(self, query: q.Query) -> Answer:
        if query.table not in self.tables:
            raise StoreUnavailableError(f"there is no table {query.table}")
        return _answer(query, [promoted(self._declared[query.table], row) for row in self.stored[query.table]])

    async def arrow(self, query: q.ArrowQuery) -> AsyncGenerator[bytes, None]:
        rows = (await self.rows(query)).rows
        columns = [self.tables[query.table][name] for name in query.columns]
        if isinstance(query, q.Rows) and query.marks_copies:
            columns.append(Column(name=q.IS_COPY, attribute=q.IS_COPY, kind=Kind.BOOL, mode=Mode.REQUIRED))
        encoder = ArrowEncoder(tuple(columns))
        for piece in (encoder.begin(), encoder.encode(rows), encoder.end()):
            yield piece

    async def delete(self, query: q.Deletion) -> int:
        stamps_us, stored = range(query.first_us, query.last_us + 1), self.stored[query.table]
        inside = [row for row in stored if epoch_us(row["ingest_time"]) in stamps_us]
        gone = [row for row in inside if _matches(promoted(self._declared[query.table], row), query)]
        self.stored[query.table] = [row for row in stored if row not in gone]
        self._versions[query.table] += 1
        return len(gone)

    async def advance(self, erased: ErasedRecord) -> None:
        await record_erasure(MemoryAppender(self, erasures_table()), erased)
        self.generation += 1


class MemoryAppender:
    """The Appender of one table of a MemoryStore. A row is a pickle of its values by column."""

    max_in_flight = target_in_flight = 1
    lateness_limits = None

    def __init__(self, store: MemoryStore, table: Table) -> None:
        self._store, self._table = store, table

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            values = msgspec.to_builtins(record, builtin_types=(bytes, Decimal, datetime, date, time), str_keys=True)
            return pickle.dumps({**values, "message_index": index, "delivery_key": delivery_key, **envelope})

        return encode

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        if obstacle := await self.check():
            return obstacle
        try:
            self._store.insert(self._table.name, zip(repeat(self._store.clock.now_us()), rows))
        except ValueError as error:
            if len(rows) == 1:
                return RowsRefused({0: RowError(str(error))})
            columns = self._store.tables[self._table.name]
            return RowsRefused({n: RowError(str(error)) for n, row in enumerate(rows) if not _fits(columns, row)})
        return Stored()

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        return row

    async def check(self) -> SetupError | None:
        is_there = self._table.name in self._store.tables
        return None if is_there else SetupError(SinkState.NOT_FOUND, f"there is no table {self._table.name}")

    async def close(self) -> None:
        pass


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the store of `data_path`, which lasts as long as the process."""
    store = MemoryStore(tables, clock, _PROCESS[settings.store.data_path])
    return Backend(
        name=f"memory:{id(store)}",
        system="memory",
        appender=cache(partial(MemoryAppender, store)),
        runner=store,
        eraser=store,
        upkeep=list,
        close=MemoryAppender(store, tables[0]).close,
        connections=dict,
    )


def _fits(columns: Mapping[str, Column], row: bytes) -> bool:
    values = pickle.loads(row)  # noqa: S301 - our own
    try:
        for name, column in columns.items():
            if name != "ingest_time":
                _value(column, values.get(name))
    except ValueError:
        return False
    return True


def _value(column: Column, value: Any) -> Any:
    """Return a value as a QueryRunner promises it, or raise ValueError if it does not fit its column."""
    if column.mode is Mode.REPEATED:
        return [_value(msgspec.structs.replace(column, mode=Mode.NULLABLE), each) for each in value]
    match column.kind:
        case _ if value is None and column.mode is Mode.REQUIRED:
            raise ValueError(f"{column.name} has no value")
        case _ if value is None:
            return None
        case Kind.NUMERIC if value.copy_abs() >= 10**29:
            raise ValueError(f"{column.name}: {value} is too large")
        case Kind.JSON:
            return msgspec.Raw(msgspec.json.encode(value))
        case Kind.STRUCT:
            return {field.name: _value(field, value[field.name]) for field in column.fields}
        case Kind.TIMESTAMP:
            return value.astimezone(UTC)
        case _:
            return value


def _answer(query: q.Query, stored: list[Row]) -> Answer:
    match query:
        case q.State():
            return _next(query, _latest(query, stored))
        case q.Rows():
            return _next(query, stored)
        case q.LookUp():
            newest = _originals(query, stored)[::-1]
            rows = [row for row in newest if row[query.id_column] == query.record_id][: query.limit]
        case q.Keys():
            rows = _selected(query, stored)
        case q.Count():
            rows = [{"records": len(_originals(query, stored))}]
        case q.Statistics():
            rows = _statistics(query, _originals(query, stored))
        case q.Occurrences():
            stamps = [row["ingest_time"] for row in stored if _matches(row, query)]
            rows = [{"found": len(stamps), "first": min(stamps, default=None), "last": max(stamps, default=None)}]
        case _:
            assert_never(query)
    return Answer([{name: row[name] for name in getattr(query, "columns", row)} for row in rows])


def _selected(query: q.Selection, stored: list[Row]) -> list[Row]:
    """Return the rows of the selection, copies included: those after its position, in its direction."""
    stamps_us, after = range(query.within.from_us, query.within.to_us), getattr(query, "after", None)
    rows = [row for row in stored if epoch_us(row["ingest_time"]) in stamps_us and _matches(row, query)]
    order, beyond = (-1, lt) if getattr(query, "descending", False) else (1, gt)
    return [row for row in rows[::order] if after is None or beyond(position_of(row), after)]


def _originals(query: q.Originals, stored: list[Row]) -> list[Row]:
    copies = _copies(query, stored)
    return [row for row in _selected(query, stored) if id(row) not in copies]


def _copies(query: q.Originals, stored: list[Row]) -> set[int]:
    """Return the ids of the rows that have an earlier or equal one of their delivery within the look-back."""
    previous_us, copies = dict[str, int](), set[int]()
    for row in stored:
        at = position_of(row)
        if at.ingest_us - previous_us.get(at.delivery_key, -math.inf) <= query.lookback_us:
            copies.add(id(row))
        previous_us[at.delivery_key] = at.ingest_us
    return copies


def _latest(query: q.State, stored: list[Row]) -> list[Row]:
    """Return of each id the version that supersedes the others, unless it is a tombstone."""
    copies, heads = _copies(query, stored), dict[Any, tuple[tuple[Any, ...], Row]]()
    for row in stored:
        at = position_of(row)
        is_in = at.ingest_us in range(query.folded.from_us, query.folded.to_us)
        is_beyond = query.last_key and at > q.Position(query.folded.to_us - 1, query.last_key)
        if id(row) in copies or not is_in or is_beyond or not _matches_all(row, query.counted):
            continue
        value = row[query.sequence] if query.sequence else None
        rank = (value is not None, value or 0, at)
        if rank >= heads.get(row[query.id_column], (rank,))[0]:
            heads[row[query.id_column]] = rank, row
    latest = [row for _, row in heads.values() if not (query.deleted and row[query.deleted])]
    return sorted(latest, key=position_of)


def _next(query: q.Rows, stored: list[Row]) -> Answer:
    """Return the next rows, as far as they fit, and which of them are copies if that is asked."""
    copies = _copies(query, stored)
    chosen = (_selected if query.marks_copies else _originals)(query, stored)[: query.limit]
    sizes = [*accumulate(len(repr(row)) for row in chosen)]
    fitting = chosen if query.max_bytes is None else chosen[: max(1, bisect_right(sizes, query.max_bytes))]
    rows = [{name: row[name] for name in query.columns} for row in fitting]
    if query.marks_copies:
        rows = [row | {q.IS_COPY: id(each) in copies} for row, each in zip(rows, fitting, strict=True)]
    return Answer(rows, fetched_bytes=sizes[len(rows) - 1] if rows else 0, cut=len(rows) < len(chosen))


def _statistics(query: q.Statistics, rows: list[Row]) -> list[Row]:
    groups, buckets = Counter[Any](), defaultdict[tuple[Any, int], list[Row]](list)
    for row in rows:
        key = query.by and _field(row, query.by)
        groups[key] += 1
        buckets[key, (epoch_us(row["ingest_time"]) - query.first_us) // query.bucket_us].append(row)
    ranked = sorted(groups, key=lambda key: (-groups[key], key is not None, key))[: query.max_groups]
    return [
        {"bucket": bucket, "records": len(inside)}
        | {"place": ranked.index(key) + 1, "group_key": key, "group_count": len(groups)}
        | {f"metric_{at}": _number(metric, inside) for at, metric in enumerate(query.metrics) if metric.path}
        for (key, bucket), inside in buckets.items()
        if key in ranked
    ]


def _number(metric: q.Metric, rows: list[Row]) -> Any:
    if metric.is_computed:
        found = [row["publish_time"] and (row["ingest_time"] - row["publish_time"]).total_seconds() for row in rows]
    else:
        found = [_field(row, metric.path) for row in rows]
    values = sorted(value for value in found if value is not None)
    if metric.function == "count_distinct":
        return len(set(values))
    if metric.function == "sum" and values:
        return sum(values) if metric.kind is Kind.INT64 else float(sum(values))
    if not values or metric.function == "avg":
        return float(sum(values) / len(values)) if values else None
    share = {"min": 0, "p50": 0.5, "p95": 0.95, "max": 1}[metric.function]
    return values[max(math.ceil(len(values) * share) - 1, 0)]


def _field(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = None if value is None else value.get(name)
    return value


def _matches(row: Row, query: q.Selection | q.Occurrences | q.Deletion) -> bool:
    return _matches_all(row, query.conditions)


def _matches_all(row: Row, conditions: Iterable[q.Condition]) -> bool:
    return all(_meets(each, _compared(each, row)) for each in conditions)


def _meets(condition: q.Condition, value: Any) -> bool:
    match condition.operator:
        case "isnull":
            return (value is None) in condition.values
        case "eq" | "ne" | "in":
            return (value in condition.values) is (condition.operator != "ne")
        case "outside":
            return value is not None and not condition.values[0] <= value < condition.values[1]
        case order:
            return value is not None and bool(_COMPARE[order](value, condition.values[0]))


def _compared(condition: q.Condition, row: Row) -> Any:
    """Return what the condition compares: of JSON, a scalar as text or as a number, None for anything else."""
    value = _field(row, condition.path)
    if condition.kind is Kind.TIMESTAMP and value is not None:
        return epoch_us(value)
    if condition.kind is not Kind.JSON or value is None or (condition.operator == "isnull" and not condition.json_path):
        return value
    value = msgspec.json.decode(value)
    for key in condition.json_path:
        if isinstance(value, list):
            value = {str(index): item for index, item in enumerate(value)}
        value = value.get(key) if isinstance(value, dict) else None
    if condition.operator in {"lt", "lte", "gt", "gte"}:
        return value if type(value) in {int, float} else None
    if condition.operator != "prefix" and isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    return value if isinstance(value, str) else None
