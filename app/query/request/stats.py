"""Parse the request for statistics: a window cut into buckets, the groups, and the metrics of each. Pure.

Buckets are of the same length and begin at whole multiples of it since 1970-01-01T00:00:00Z, so those of two windows
line up: hours begin on the hour, days at midnight in UTC, and weeks on Thursdays.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from app.http.contract import TEXT, Parameter
from app.query.request.parameters import CANARY, CANARY_PARAMETER, WINDOW_PARAMETERS, Parameters
from app.query.request.scan import Now, QueryableTable, is_instant, read_ends
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, InstantError, TimeRange, clamp, parse_instant
from app.schema.columns import Kind
from app.schema.filters import FilterField
from app.stores.query import Condition, Function, Metric

MAX_GROUPS = 50
MAX_METRICS = 8
DELAY = "delay"
"""The field that is computed, not stored: seconds from `publish_time` to `ingest_time`."""
_OF_A_FIELD = ("sum", "avg", "min", "max", "p50", "p95", "count_distinct")
_SHOWN_LENGTH = 100  # of a caller's own text, in an error
_FORMS = "expected count, or sum, avg, min, max, p50, p95 or count_distinct of a field, such as avg:FIELD"
COUNT = Metric("count", "count")
_COUNT_ALONE: tuple[Metric, ...] = (COUNT,)


MAX_BUCKETS = 1_000
AUTO_BUCKETS = 121  # 120 that fit the window, and one more if they are not aligned with it
_SHORTEST_US, _LONGEST_US = SECOND_US, 366 * DAY_US
_ROUND_US = (
    *(count * SECOND_US for count in (1, 2, 5, 10, 15, 30)),
    *(count * MINUTE_US for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR_US for count in (1, 2, 3, 4, 6, 8, 12)),
    *(count * DAY_US for count in (1, 2, 7)),
)


class Buckets(msgspec.Struct, frozen=True):
    """`count` buckets of `length_us`, the first of which begins at `first_us`."""

    first_us: int
    length_us: int
    count: int

    @property
    def end_us(self) -> int:
        """The end of the last bucket."""
        return self.first_us + self.count * self.length_us

    def starts_us(self) -> Iterator[int]:
        """Yield the start of each bucket, clamped to the year 0001."""
        return (clamp(self.first_us + number * self.length_us) for number in range(self.count))


def cut_in_buckets(window: TimeRange, length_us: int) -> Buckets:
    """Return the buckets that hold `window`; the first may begin earlier, and the last end later."""
    first_us = window.from_us // length_us * length_us
    count = -((first_us - window.to_us) // length_us) if window.length_us > 0 else 0
    return Buckets(first_us, length_us, count)


def shortest_round_us(window: TimeRange, most: int) -> int:
    """Return the shortest round length with which at most `most` buckets cover the window."""
    for length_us in _ROUND_US:
        if cut_in_buckets(window, length_us).count <= most:
            return length_us
    weeks_us = 7 * DAY_US
    return -(-window.length_us // ((most - 1) * weeks_us)) * weeks_us


def parse_length(text: str) -> int:
    """Return the microseconds of an ISO 8601 duration, such as PT5M.

    Raises:
        ValueError: it is none, or too short or too long for a bucket.
    """
    try:
        length_us = -parse_instant(f"-{text}", 0) if text.startswith("P") else 0
    except InstantError:
        length_us = 0
    if not length_us:
        raise ValueError("expected auto, or a duration of either weeks, or days, hours, minutes and seconds")
    if not _SHORTEST_US <= length_us <= _LONGEST_US:
        raise ValueError(f"expected a duration from {length_text(_SHORTEST_US)} to {length_text(_LONGEST_US)}")
    return length_us


def length_text(length_us: int) -> str:
    """Return the duration in its canonical form: without weeks and without zero parts."""
    days, rest_us = divmod(length_us, DAY_US)
    hours, rest_us = divmod(rest_us, HOUR_US)
    minutes, rest_us = divmod(rest_us, MINUTE_US)
    seconds = f"{rest_us // SECOND_US}.{rest_us % SECOND_US:06}".rstrip("0").rstrip(".")
    time = "".join(
        f"{part}{unit}" for part, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if part not in {0, "0"}
    )
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")


STATS_PARAMETERS: dict[str, Parameter] = {
    **WINDOW_PARAMETERS,
    "bucket": Parameter(
        "The length of each bucket: an ISO 8601 duration of at least a second, such as `PT5M`, `PT1H` or "
        f"`P1D`; or `auto`, the shortest round duration that makes at most about {AUTO_BUCKETS - 1} buckets. At "
        f"most {MAX_BUCKETS} are allowed. Buckets are aligned to 1970-01-01T00:00:00Z: hours begin on the hour, "
        "days at midnight UTC, weeks on Thursdays. The window of a duration, such as `-PT1H`, therefore begins with a "
        "bucket, if it has room for one. That of an instant begins there: only its records count, though the first "
        "bucket may begin earlier.",
        "PT5M",
        TEXT,
        default="auto",
        read=lambda text: None if text == "auto" else parse_length(text),
    ),
    "by": Parameter(
        f"A field to group by: one series for each of the {MAX_GROUPS} values with the most records; "
        "`omitted_groups` has the number of the others. `a.b` is the field `b` of the object `a`. By default "
        "one series.",
        "source",
        TEXT,
    ),
    "metric": Parameter(
        f"What to compute for each bucket, separated by commas, at most {MAX_METRICS}: `count`, the number of "
        "records; for the values of a numeric field `f`: `sum:f`, `avg:f`, `min:f`, `max:f`, `p50:f` (the median) or "
        "`p95:f`; or `count_distinct:f`, how many different values a field has, which BigQuery approximates (usually "
        "to one per cent). `delay` is the seconds from `publish_time` to `ingest_time`, which records sent over HTTP "
        "do not have; a declared field of this name takes precedence. Percentiles are approximate. In the "
        "embedded store they deviate by at most two per cent of the records, or one record, so that `p95` lies "
        "between the exact 93rd and 97th percentile. BigQuery is usually closer but states no limit.",
        f"count,p95:{DELAY}",
        TEXT,
        default="count",
    ),
    CANARY: CANARY_PARAMETER,
}


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

    @property
    def whole_buckets(self) -> TimeRange:
        """The buckets that lie in the window from beginning to end."""
        length_us = self.buckets.length_us
        from_us = -(-self.window.from_us // length_us) * length_us
        return TimeRange(from_us, max(from_us, self.window.to_us // length_us * length_us))


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
    known = subject.known(stats_parameters(subject.fields))
    given = Parameters(query, known, subject.fields, subject.unfiltered)
    edge_us = now.horizon_us
    since_us, until_us = read_ends(given, now, edge_us=edge_us, max_window_days=subject.max_window_days)
    window = TimeRange(since_us, max(since_us, edge_us if until_us is None else min(until_us, edge_us)))
    has_window = not any(error.name in WINDOW_PARAMETERS for error in given.errors)
    buckets = _buckets(given, window if has_window else TimeRange(window.from_us, window.from_us))
    by = given.value("by", lambda text: _group_field(subject.fields, text))
    metrics = given.value("metric", lambda text: _metrics(subject, text))
    conditions, _ = subject.conditions(given)
    given.check()
    has_since, is_given = is_instant(given.text("since")), is_instant(given.text("until"))
    if not has_since and 0 < buckets.length_us <= window.length_us:
        window = TimeRange(buckets.first_us, window.to_us)
    is_at_horizon = until_us == edge_us and not is_given
    return StatsRequest(
        window=window,
        buckets=buckets,
        is_fixed=has_since and is_given,
        is_open=until_us is None or until_us > edge_us or is_at_horizon,
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


def _group_field(fields: Mapping[str, FilterField], text: str) -> FilterField:
    paths = _groupable(fields)
    if text not in paths:
        raise ValueError(_no_such("group by", paths))
    return fields[text]


def _metrics(subject: QueryableTable, text: str) -> tuple[Metric, ...]:
    names = [name.strip() for name in text.split(",")]
    if len(names) > MAX_METRICS:
        raise ValueError(f"expected at most {MAX_METRICS} metrics")
    if len({*names}) < len(names):
        raise ValueError("a metric is listed more than once")
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
    paths = (_groupable if function == "count_distinct" else _aggregable)(subject.fields)
    if path not in paths:
        known = [*paths, *([DELAY] if has_delay else [])]
        raise ValueError(f"{path[:_SHOWN_LENGTH]!r}: {_no_such('compute with', known)}")
    return Metric(text, cast("Function", function), path, subject.fields[path].kind)


def _no_such(purpose: str, paths: list[str]) -> str:
    known = ", ".join(paths) or "none at all"
    return f"there is no such field to {purpose}, which needs the role `aggregate`; known: {known}"


def _groupable(fields: Mapping[str, FilterField]) -> list[str]:
    return [path for path, field in fields.items() if field.groupable]


def _aggregable(fields: Mapping[str, FilterField]) -> list[str]:
    return [path for path, field in fields.items() if field.aggregable]
