"""Parse the request for statistics: a window cut into buckets, the groups, and the metrics of each."""

from collections.abc import Container, Mapping
from typing import cast

import msgspec

from app.http.contract import Parameter
from app.query.request.buckets import (
    AUTO_BUCKETS,
    MAX_BUCKETS,
    Buckets,
    cut_in_buckets,
    length_text,
    shortest_round_us,
)
from app.query.request.filters import lacks
from app.query.request.parameters import DELAY, MAX_METRICS, STATS_PARAMETERS, WINDOW_PARAMETERS, Parameters
from app.query.request.scan import Now, QueryableTable, is_instant, read_ends
from app.runtime.instants import parse_instant
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.schema.filters import AGGREGABLE, GROUPABLE, FilterField
from app.stores.query import Condition, Function, Metric

_OF_A_FIELD = ("sum", "avg", "min", "max", "p50", "p95", "count_distinct")
_SHOWN_LENGTH = 100  # of a caller's own text, in an error
_FORMS = "expected count, or sum, avg, min, max, p50, p95 or count_distinct of a field, such as avg:FIELD"
COUNT = Metric("count", "count")
_COUNT_ALONE: tuple[Metric, ...] = (COUNT,)


class StatsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The requested statistics.

    `is_fixed` says that both ends of the window were given as instants. `is_open` says that the window ends only at
    the settled horizon, so that its last bucket is still filling.
    """

    window: TimeRange
    buckets: Buckets
    is_fixed: bool = False
    is_open: bool = True
    by: FilterField | None = None
    metrics: tuple[Metric, ...] = _COUNT_ALONE
    conditions: tuple[Condition, ...] = ()


def stats_parameters(fields: Mapping[str, FilterField]) -> dict[str, Parameter]:
    """Return STATS_PARAMETERS with the names of a table's `fields` as choices and examples."""
    known = dict(STATS_PARAMETERS)
    groupable, aggregable = _groupable(fields), _aggregable(fields)
    if groupable:
        schema = {"type": "string", "enum": groupable}
        known["by"] = msgspec.structs.replace(known["by"], example=groupable[-1], schema=schema)
    if aggregable:
        known["metric"] = msgspec.structs.replace(known["metric"], example=f"count,avg:{aggregable[0]}")
    return known


def parse_stats_request(query: str, subject: QueryableTable, now: Now) -> StatsRequest:
    """Read the parameters of statistics from the query string.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong.
    """
    given = Parameters(query, subject.known(stats_parameters(subject.fields)), subject.fields)
    edge_us = now.horizon_us
    since_us, until_us = read_ends(given, now, edge_us=edge_us, max_window_days=subject.max_window_days)
    window = TimeRange(since_us, max(since_us, edge_us if until_us is None else min(until_us, edge_us)))
    has_window = not any(error.name in WINDOW_PARAMETERS for error in given.errors)
    buckets = _buckets(given, window if has_window else TimeRange(window.from_us, window.from_us))
    by = given.value("by", lambda text: _group_field(subject.fields, text))
    metrics = given.value("metric", lambda text: _metrics(subject, text))
    conditions, _ = subject.conditions(given)
    given.check()
    since, until = given.text("since"), given.text("until")
    return StatsRequest(
        window=window,
        buckets=buckets,
        is_fixed=is_instant(since) and is_instant(until),
        is_open=until is None or _is_beyond(until, now),
        by=by,
        metrics=metrics,
        conditions=conditions,
    )


def _buckets(given: Parameters, window: TimeRange) -> Buckets:
    asked_us = given.value("bucket")
    if asked_us is None:
        return cut_in_buckets(window, shortest_round_us(window, AUTO_BUCKETS))
    buckets = cut_in_buckets(window, asked_us)
    if buckets.count > MAX_BUCKETS:
        given.members |= {"buckets": buckets.count, "max_buckets": MAX_BUCKETS}
        message = f"divides the window into {buckets.count} buckets; at most {MAX_BUCKETS} are allowed"
        given.refuse("bucket", message, length_text(shortest_round_us(window, MAX_BUCKETS)))
    return buckets


def _is_beyond(until: str, now: Now) -> bool:
    """Return whether a window up to `until` is still filling; a fixed one is not, once it is settled."""
    until_us = parse_instant(until, now.now_us)
    return until_us > now.horizon_us or (until_us == now.horizon_us and not is_instant(until))


def _group_field(fields: Mapping[str, FilterField], text: str) -> FilterField:
    field = fields.get(text)
    if field is None or not field.groupable:
        raise ValueError(_no_such(text, fields, "group by", _groupable(fields), GROUPABLE))
    return field


def _metrics(subject: QueryableTable, text: str) -> tuple[Metric, ...]:
    names = [name.strip() for name in text.split(",")]
    if len(names) > MAX_METRICS:
        raise ValueError(f"expected at most {MAX_METRICS} metrics")
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"{name[:_SHOWN_LENGTH]} is listed more than once")
    return tuple(_metric(subject, name) for name in names)


def _metric(subject: QueryableTable, text: str) -> Metric:
    if text == COUNT.text:
        return COUNT
    function, colon, path = text.partition(":")
    if function not in _OF_A_FIELD or not colon:
        raise ValueError(_FORMS)
    has_delay = all(column.name != DELAY for column in subject.columns)
    if has_delay and path == DELAY:
        return Metric(text, cast("Function", function), path, Kind.FLOAT64, is_computed=True)
    counts = function == "count_distinct"
    paths = _groupable(subject.fields) if counts else _aggregable(subject.fields)
    if path not in paths:
        known = [*paths, *([DELAY] if has_delay else [])]
        reason = _no_such(path, subject.fields, "compute with", known, GROUPABLE if counts else AGGREGABLE)
        raise ValueError(f"{path[:_SHOWN_LENGTH]!r}: {reason}")
    return Metric(text, cast("Function", function), path, subject.fields[path].kind)


def _no_such(
    path: str, fields: Mapping[str, FilterField], purpose: str, paths: list[str], kinds: Container[Kind]
) -> str:
    """Return why a field is none of `paths`: it lacks the role, if it is of the `kinds` that could have it."""
    field = fields.get(path)
    if field is not None and field.kind in kinds:
        return lacks(path, "aggregate", paths)
    return f"there is no such field to {purpose}; there {_verb(paths)} {', '.join(paths) or 'none at all'}"


def _verb(names: list[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _groupable(fields: Mapping[str, FilterField]) -> list[str]:
    return [path for path, field in fields.items() if field.groupable]


def _aggregable(fields: Mapping[str, FilterField]) -> list[str]:
    return [path for path, field in fields.items() if field.aggregable]
