"""What each query means, evaluated row by row over the rows of a table in the order of the feed."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple, assert_never

import msgspec

from app.runtime.instants import epoch_us
from app.schema.columns import Kind
from app.stores import query as q
from app.stores.query import Condition, Position, Query
from app.stores.source import Answer

_Values = dict[str, Any]


class Row(NamedTuple):
    """A stored row: its position in the order of the feed, and its values by column."""

    place: Position
    values: _Values


def found(query: Query, stored: list[Row]) -> list[_Values]:  # noqa: PLR0911 - one for each query
    """Return the rows of `query`, in its order."""
    match query:
        case q.RowQuery():
            return page(query, stored).rows
        case q.LookUp():
            same = [row for row in _originals(query, stored) if row.values[query.id_column] == query.record_id]
            return [_projected(query.columns, row) for row in same[::-1][: query.limit]]
        case q.Count():
            count = len(_ahead(query, _originals(query, stored)))
            return [{"records": count if query.cap is None else min(count, query.cap)}]
        case q.PartCounts():
            ahead = _ahead(query, _selected(query, stored))
            parts = Counter((row.place.ingest_us - query.from_us) // query.width_us for row in ahead)
            return [{"bucket": part, "records": count} for part, count in sorted(parts.items())]
        case q.Export():
            return [_projected(query.columns, row) for row in _ahead(query, _originals(query, stored))]
        case q.Statistics():
            return _statistics(query, _originals(query, stored))
        case q.Occurrences():
            stamps = [row.values["ingest_time"] for row in stored if meets(query.conditions, row)]
            return [{"found": len(stamps), "first": min(stamps, default=None), "last": max(stamps, default=None)}]
        case q.PayloadSearch():
            return [_projected(query.columns, row) for row in stored if _may_hold(query, row.values)]
        case _:
            assert_never(query)


def _projected(columns: Iterable[str], row: Row) -> _Values:
    return {name: row.values.get(name) for name in columns}


def _may_hold(query: q.PayloadSearch, values: _Values) -> bool:
    payload: bytes = values["payload"]
    return values["parts"] > 1 or payload.startswith(query.beginning) or any(map(payload.__contains__, query.contained))


def _selected(query: q.Selection, stored: list[Row]) -> list[Row]:
    within = [row for row in stored if query.from_us <= row.place.ingest_us < query.to_us]
    return [row for row in within if meets(query.conditions, row)]


def _originals(query: q.Originals, stored: list[Row]) -> list[Row]:
    copies = _copies(query.lookback_us, stored)
    return [row for row in _selected(query, stored) if id(row) not in copies]


def _copies(lookback_us: int, stored: list[Row], *, equal: bool = True) -> set[int]:
    """Return which rows have an earlier one of their delivery within the look-back; or an `equal` one before them."""
    stamps, copies = defaultdict[str, list[int]](list), set[int]()
    for row in stored:
        at_us, key = row.place.ingest_us, row.place.delivery_key
        if any(at_us - lookback_us <= us < at_us or (equal and us == at_us) for us in stamps[key]):
            copies.add(id(row))
        stamps[key].append(at_us)
    return copies


def _ahead(query: q.RowQuery | q.Count | q.PartCounts | q.Export, rows: list[Row]) -> list[Row]:
    """Return the rows after the position of the query, in its direction."""
    if query.descending:
        return [row for row in rows[::-1] if query.after is None or row.place < query.after]
    return [row for row in rows if query.after is None or row.place > query.after]


def page(query: q.RowQuery, stored: list[Row]) -> Answer:
    """Return the rows of a page, up to its bytes."""
    copies = _copies(query.lookback_us, stored, equal=False)
    candidates = _ahead(query, _selected(query, stored))[: query.candidates]
    taken, size_bytes = list[_Values](), 0
    for row in candidates:
        is_copy = id(row) in copies
        if len(taken) == query.limit or (is_copy and row is not candidates[-1]):
            continue
        row_bytes = len(repr(row.values))
        if taken and query.max_bytes is not None and size_bytes + row_bytes > query.max_bytes:
            return Answer(taken, fetched_bytes=size_bytes, cut=True)
        size_bytes += row_bytes
        taken.append(_projected(query.columns, row) | {q.CANDIDATES: len(candidates), q.IS_COPY: is_copy})
    return Answer(taken, fetched_bytes=size_bytes)


def _statistics(query: q.Statistics, rows: list[Row]) -> list[_Values]:
    groups = defaultdict[Any, defaultdict[int, list[Row]]](lambda: defaultdict(list))
    for row in rows:
        key = _field(row.values, query.by) if query.by else None
        groups[key][(row.place.ingest_us - query.first_us) // query.bucket_us].append(row)
    sizes = {key: sum(map(len, buckets.values())) for key, buckets in groups.items()}
    ranked = sorted(groups, key=lambda key: (-sizes[key], key is not None, key))[: query.max_groups]
    return [
        {"bucket": bucket, "records": len(inside)}
        | ({"place": place, "group_key": key, "group_count": len(groups)} if query.by else {})
        | {f"metric_{at}": _number(metric, inside) for at, metric in enumerate(query.metrics) if metric.path}
        for place, key in enumerate(ranked, 1)
        for bucket, inside in groups[key].items()
    ]


def _number(metric: q.Metric, rows: list[Row]) -> Any:
    values = sorted(value for row in rows if (value := _measured(metric, row)) is not None)
    match metric.function:
        case _ if not values:
            return None
        case "min" | "max":
            return values[0 if metric.function == "min" else -1]
        case "avg":
            return float(sum(values) / len(values))
        case percentile:
            return float(values[math.ceil(len(values) * int(percentile[1:]) / 100) - 1])


def _measured(metric: q.Metric, row: Row) -> Any:
    if not metric.is_computed:
        return _field(row.values, metric.path)
    published = row.values["publish_time"]
    return published and (row.place.ingest_us - epoch_us(published)) / 1_000_000


def _field(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = None if value is None else value.get(name)
    return value


def meets(conditions: Iterable[Condition], row: Row) -> bool:
    """Return whether a row matches all `conditions`."""
    return all(_meets_one(condition, _compared(condition, row.values)) for condition in conditions)


def _meets_one(condition: Condition, value: Any) -> bool:  # noqa: PLR0911 - one for each operator
    first, *others = condition.values
    match condition.operator:
        case "isnull":
            return (value is None) is bool(first)
        case "ne":
            return value is None or value != first
        case _ if value is None:
            return False
        case "eq" | "in":
            return value in condition.values
        case "prefix":
            return bool(value.startswith(first))
        case "outside":
            return bool(value < first or value >= others[0])
        case order:
            return bool({"lt": value < first, "lte": value <= first, "gt": value > first, "gte": value >= first}[order])


def _compared(condition: Condition, values: _Values) -> Any:
    """Return what the condition compares: of JSON, a scalar as text or as a number, None for anything else."""
    value = _field(values, condition.path)
    if condition.kind is Kind.TIMESTAMP and value is not None:
        return epoch_us(value)
    if condition.kind is not Kind.JSON or value is None or (condition.operator == "isnull" and not condition.json_path):
        return value
    for key in condition.json_path:
        is_index = key.isascii() and key.isdecimal()
        try:
            members: Any = msgspec.json.decode(value, type=list[msgspec.Raw] if is_index else dict[str, msgspec.Raw])
            value = members[int(key) if is_index else key]
        except (msgspec.ValidationError, LookupError):
            return None
    scalar = msgspec.json.decode(value)
    if condition.operator in {"lt", "lte", "gt", "gte"}:
        return float(scalar) if type(scalar) in {int, float} else None
    if isinstance(scalar, str) or condition.operator == "prefix":
        return scalar if isinstance(scalar, str) else None
    return None if scalar is None or isinstance(scalar, list | dict) else bytes(value).decode()
