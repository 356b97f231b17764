"""Every form of query that the service sends, for the declared tables. Pure.

One page has every filter of every field at once: what matters is that BigQuery understands each text, not its rows. A
test renders them all and fails if a line of app/stores/sql is not reached.
"""

from collections.abc import Iterator, Sequence

from app.query.params.filters import filter_parameters, parse_filters
from app.runtime.instants import SECOND_US
from app.schema.columns import Kind
from app.schema.filters import FilterField, filter_table
from app.schema.table import Table
from app.stores.query import (
    Condition,
    Count,
    Deletion,
    Export,
    Function,
    Keys,
    LookUp,
    Metric,
    Occurrences,
    PartCounts,
    PayloadSearch,
    Position,
    Query,
    RowQuery,
    Statistics,
)

_FROM_US = 1_700_000_000 * SECOND_US
_TO_US = _FROM_US + 3_600 * SECOND_US
_LOOKBACK_US = 900 * SECOND_US
_AFTER = Position(_FROM_US, "key")
_FUNCTIONS: tuple[Function, ...] = ("avg", "min", "max", "p50", "p95")
_DELAY = Metric("avg:delay", "avg", "delay", Kind.FLOAT64, is_computed=True)


def every_query(records: Table, rejects: Table) -> list[Query | Deletion]:
    """Return one query for each form of statement."""
    return [*_reads(records), *_reads(rejects), *_look_ups(records), *_erasures(records, rejects)]


def conditions_of(table: Table) -> tuple[Condition, ...]:
    """Return a condition for each operator of each field, with paths into JSON columns, and the seam's own."""
    fields = filter_table(table)
    pairs = [(name, str(parameter.example)) for name, parameter in filter_parameters(fields).items()]
    pairs += [pair for field in fields.values() if field.kind is Kind.JSON for pair in _inside(field)]
    outside = Condition("ingest_time", (), "outside", Kind.TIMESTAMP, (_FROM_US, _TO_US))
    return (*parse_filters(fields, pairs), outside)


def _inside(field: FilterField) -> Iterator[tuple[str, str]]:
    for operator in field.operators:
        value = {"isnull": "true", "in": "a,b"}.get(operator, "5" if operator in {"lt", "lte", "gt", "gte"} else "a")
        yield f"{field.path}.items.0.price.{operator}", value


def _reads(table: Table) -> Iterator[Query]:
    columns = tuple(column.name for column in table.columns)
    conditions = conditions_of(table)
    for descending in (False, True):
        for after in (None, _AFTER):
            yield RowQuery(
                table=table.name,
                from_us=_FROM_US,
                to_us=_TO_US,
                lookback_us=_LOOKBACK_US,
                columns=columns,
                descending=descending,
                after=after,
                conditions=conditions if after and not descending else (),
                limit=10,
                candidates=20,
            )
        yield Export(
            table=table.name,
            from_us=_FROM_US,
            to_us=_TO_US,
            lookback_us=_LOOKBACK_US,
            columns=columns,
            descending=descending,
            after=_AFTER if descending else None,
            conditions=conditions,
        )
        for lookback_us in (_LOOKBACK_US, 0):
            yield Export(
                table=table.name,
                from_us=_FROM_US,
                to_us=_TO_US,
                lookback_us=lookback_us,
                columns=columns,
                descending=descending,
                limit=10,
                marks_copies=True,
                purpose="page",
            )
    yield from _counts(table.name, conditions)
    yield from _statistics(table, conditions)


def _counts(table: str, conditions: tuple[Condition, ...]) -> Iterator[Query]:
    for cap in (None, 1_000):
        yield Count(
            table=table, from_us=_FROM_US, to_us=_TO_US, lookback_us=_LOOKBACK_US, cap=cap, conditions=conditions
        )
    yield PartCounts(
        table=table, from_us=_FROM_US, to_us=_TO_US, after=_AFTER, width_us=60 * SECOND_US, conditions=conditions
    )


def _statistics(table: Table, conditions: tuple[Condition, ...]) -> Iterator[Query]:
    fields = filter_table(table).values()
    numbers = [field for field in fields if field.aggregable]
    metrics = [
        Metric("count", "count"),
        _DELAY,
        *(
            Metric(f"{function}:{field.path}", function, field.path, field.kind)
            for field in numbers
            for function in _FUNCTIONS
        ),
    ]
    groups: Sequence[str | None] = [None, *(field.path for field in fields if field.groupable)]
    for by in groups:
        yield Statistics(
            table=table.name,
            from_us=_FROM_US,
            to_us=_TO_US,
            lookback_us=_LOOKBACK_US,
            conditions=conditions,
            by=by,
            metrics=tuple(metrics),
            first_us=_FROM_US,
            bucket_us=60 * SECOND_US,
            max_groups=10,
        )


def _look_ups(records: Table) -> Iterator[Query]:
    if records.id is not None:
        yield LookUp(
            table=records.name,
            from_us=_FROM_US,
            to_us=_TO_US,
            lookback_us=_LOOKBACK_US,
            columns=tuple(column.name for column in records.columns),
            id_column=records.id.name,
            record_id=1 if records.id.kind is Kind.INT64 else "a",
            limit=10,
        )


def _erasures(records: Table, rejects: Table) -> Iterator[Query | Deletion]:
    keys = Condition("delivery_key", (), "in", Kind.STRING, ("a", "b"))
    yield Keys(table=records.name, from_us=_FROM_US, to_us=_TO_US, conditions=(keys,))
    yield Occurrences(table=records.name, conditions=(keys,))
    yield PayloadSearch(
        table=rejects.name,
        columns=("delivery_key", "ingest_time", "payload"),
        contained=(b'"a"', b'"b"'),
        beginning=b'{"id":"a',
    )
    for table in (records, rejects):
        yield Deletion(table=table.name, first_us=_FROM_US, last_us=_TO_US, conditions=(keys,))
