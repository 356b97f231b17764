"""The laws of statistics, against a recount in plain Python."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runtime.instants import DAY_US, HOUR_US, SECOND_US, to_text
from app.schema.values import plain_decimal
from tests.contract.readings import READINGS, Reading, Readings, Row, Site, instant
from tests.contract.shelf import LOOKBACK_US
from tests.contract.stores import T0_US, Engine, law

_STEPS = st.sampled_from([0, 1, SECOND_US, 59 * SECOND_US, LOOKBACK_US - 1, LOOKBACK_US, LOOKBACK_US + 1, HOUR_US])
_SPANS = st.tuples(
    st.sampled_from([0, 1, SECOND_US, 59 * SECOND_US, LOOKBACK_US]),
    st.sampled_from([0, 60 * SECOND_US, HOUR_US, 4 * HOUR_US, DAY_US, DAY_US]),
)
_LENGTHS = {"PT1M30S": 90 * SECOND_US, "PT15M": 900 * SECOND_US, "PT1H": HOUR_US, "P1D": DAY_US, "P7D": 7 * DAY_US}
_FILTERS: dict[str, Callable[[Reading], bool]] = {
    "": lambda _: True,
    "number.gte=0": lambda reading: reading.number is not None and reading.number >= 0,
    "source.isnull=true": lambda reading: reading.source is None,
    "site.floor.ne=2": lambda reading: reading.site is None or reading.site.floor != 2,
}
_METRICS = [
    f"{function}:{path}"
    for path in ("number", "level", "price", "site.floor")
    for function in ("sum", "avg", "min", "max", "p50", "p95", "count_distinct")
] + ["count_distinct:source", "count_distinct:day"]
_READINGS = st.builds(
    Reading,
    source=st.sampled_from([None, "a", "b", "é", ""]),
    number=st.none() | st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)]),
    level=st.none() | st.integers(-40, 40).map(lambda eighths: eighths / 8) | st.just(-1e300),
    price=st.none() | st.decimals("-5", "5", places=2),
    valid=st.none() | st.booleans(),
    day=st.sampled_from([None, date(2024, 2, 29), date(1, 1, 1)]),
    at=st.sampled_from([None, instant(2024, 1, 1), instant(1, 1, 1)]),
    site=st.none() | st.builds(Site, floor=st.none() | st.integers(0, 2)),
)
_GROUPS = ["source", "number", "level", "price", "valid", "day", "at", "site.floor"]


@pytest.fixture(scope="module")
def readings(engine: Engine) -> Iterator[Readings]:
    """Give a store of readings."""
    store = engine.loop.run(engine.open([READINGS]))
    yield Readings(engine, store)
    engine.loop.run(store.close())


@st.composite
def _rows(draw: st.DrawFn) -> list[Row]:
    """Return rows of a few deliveries, each with one reading, however often it comes."""
    carried = {key: draw(_READINGS) for key in "abc"}
    rows, at_us, size = [], T0_US, draw(st.integers(0, 20))
    for step_us, key in draw(st.lists(st.tuples(_STEPS, st.sampled_from("abc")), min_size=size, max_size=size)):
        at_us += step_us
        rows.append(Row(at_us, key, carried[key]))
    return rows


def test_statistics_are_a_recount_of_the_feed(readings: Readings) -> None:
    """Of each bucket and group, over the rows that are no copies, lie in the window and meet the filters."""

    @law(readings.engine, share=4)
    @given(
        rows=_rows(),
        span_us=_SPANS,
        bucket=st.sampled_from([*_LENGTHS]),
        by=st.sampled_from([None, *_GROUPS]),
        metrics=st.lists(st.sampled_from(["count", *_METRICS]), min_size=1, max_size=8, unique=True),
        where=st.sampled_from(["", *_FILTERS]),
        fixed=st.sampled_from(["", *_FILTERS]),
    )
    def holds(  # noqa: PLR0917 - what can be asked for
        rows: list[Row],
        span_us: tuple[int, int],
        bucket: str,
        by: str | None,
        metrics: list[str],
        where: str,
        fixed: str,
    ) -> None:
        readings.clear()
        readings.put(rows)
        since_us, until_us = T0_US + span_us[0], T0_US + sum(span_us)
        readings.settle(until_us)
        readings.fixed = dict(parse_qsl(fixed))
        asked = {"since": to_text(since_us), "until": to_text(until_us), "bucket": bucket, "metric": ",".join(metrics)}
        found = readings.ask(urlencode(asked | ({"by": by} if by else {})) + (f"&{where}" if where else ""))
        readings.fixed = {}

        length_us = _LENGTHS[bucket]
        starts = range(since_us // length_us * length_us, until_us, length_us) if since_us < until_us else ()
        counted = [
            row
            for row in _originals(rows)
            if since_us <= row.ingest_us < until_us and _FILTERS[where](row.reading) and _FILTERS[fixed](row.reading)
        ]
        assert found["buckets"] == [to_text(start_us) for start_us in starts]
        assert (found["by"], found["metrics"], found["partial"]) == (by, metrics, False)
        groups = _grouped(counted, by)
        assert [(series["key"], series["records"]) for series in found["series"]] == [
            (_shown(key), len(group)) for key, group in groups
        ]
        for series, (_, group) in zip(found["series"], groups, strict=True):
            for metric in metrics:
                for number, start_us in zip(series["values"][metric], starts, strict=True):
                    members = [row.reading for row in group if 0 <= row.ingest_us - start_us < length_us]
                    assert _is_right(metric, number, members), (metric, number, members)

    holds()


def _originals(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that no row of their delivery precedes within the look-back."""
    kept = []
    for number, row in enumerate(rows):
        earlier = [other for other in rows[:number] if other.key == row.key]
        if not any(row.ingest_us - other.ingest_us <= LOOKBACK_US for other in earlier):
            kept.append(row)
    return kept


def _value(reading: Reading, path: str) -> Any:
    if path == "site.floor":
        return reading.site.floor if reading.site else None
    return getattr(reading, path)


def _grouped(rows: list[Row], by: str | None) -> list[tuple[Any, list[Row]]]:
    """Return the groups, the largest first, and equal ones in the order of their keys."""
    if by is None:
        return [(None, rows)]
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(_value(row.reading, by), []).append(row)
    return sorted(groups.items(), key=lambda each: (-len(each[1]), each[0] is not None, each[0]))


def _shown(value: Any) -> Any:
    """Return a value as a row shows it."""
    if isinstance(value, Decimal):
        return plain_decimal(value)
    return msgspec.json.decode(msgspec.json.encode(value))


def _is_right(metric: str, number: Any, members: list[Reading]) -> bool:
    function, _, path = metric.partition(":")
    values = sorted(value for reading in members if path and (value := _value(reading, path)) is not None)
    counts = {"count": len(members), "count_distinct": len(set(values))}
    if function in counts:
        return bool(number == counts[function]) and isinstance(number, int)
    if not values:
        return number is None
    match function:
        case "min" | "max":
            return bool(number == _shown(values[0 if function == "min" else -1]))
        case "sum" if isinstance(values[0], int):
            return bool(number == sum(values)) and isinstance(number, int)
        case "sum" | "avg":
            exact = float(sum(map(Fraction, values)) / (1 if function == "sum" else len(values)))
            # A store may add as floats: near 0, among numbers far from it, that is as far off as those are large.
            return math.isclose(number, exact, rel_tol=1e-9, abs_tol=1e-9 * (1 + float(max(map(abs, values)))))
        case _:
            return _is_near(number, [float(value) for value in values], {"p50": 0.5, "p95": 0.95}[function])


def _is_near(number: float, values: list[float], share: float) -> bool:
    """Return whether a percentile of sorted values keeps to the tolerance that the documentation states."""
    count, tolerance = len(values), max(0.02 * len(values), 1)
    least = values[max(math.ceil(share * count - tolerance), 1) - 1]
    most = values[min(math.floor(share * count + tolerance), count - 1)]
    return least - 1e-6 * abs(least) <= number <= most + 1e-6 * abs(most)
