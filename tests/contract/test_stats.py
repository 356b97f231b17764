"""Statistics over every store: what is counted, how groups and numbers are served, and what HTTP adds."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.runtime.instants import MINUTE_US, SECOND_US, to_text
from tests.contract.readings import READINGS, Reading, Readings, Row, Site, instant
from tests.contract.stores import T0_US, Engine

M0_US = T0_US - 20 * SECOND_US  # 2023-11-14T22:13:00Z, a whole minute
WINDOW = f"since={to_text(M0_US)}&until={to_text(M0_US + 4 * MINUTE_US)}&bucket=PT1M"
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_HUGE = "99999999999999999999999999999.999999999"
_ROWS = [
    Row(M0_US - 1, "early", Reading(source="a", number=99)),
    Row(M0_US, "k0", Reading(source="a", number=1, level=0.5, price=Decimal("1.10"), site=Site(3))),
    Row(M0_US + 59 * SECOND_US, "k1", Reading(source="a", number=2, level=-0.5, price=Decimal("2.30"))),
    Row(M0_US + 59 * SECOND_US + 999_999, "k2", Reading(source="b", number=-5, valid=True, day=date(2024, 2, 29))),
    Row(M0_US + 2 * MINUTE_US, "k3", Reading(number=3, valid=False, at=instant(2024, 1, 1), site=Site())),
    Row(M0_US + 2 * MINUTE_US + 1, "k0", Reading(source="a", number=1, level=0.5, price=Decimal("1.10"))),  # a copy
    Row(M0_US + 2 * MINUTE_US + 2, "early", Reading(source="a", number=99)),  # a copy of what lies before the window
    Row(M0_US + 4 * MINUTE_US, "late", Reading(source="a", number=99)),
]


@pytest.fixture(scope="module")
def module_readings(engine: Engine) -> Iterator[Readings]:
    """Give a store that the tests fill."""
    store = engine.loop.run(engine.open([READINGS]))
    yield Readings(engine, store)
    engine.loop.run(store.close())


@pytest.fixture
def readings(module_readings: Readings) -> Iterator[Readings]:
    """Give a store with a few readings in it."""
    module_readings.clear()
    module_readings.put(_ROWS)
    yield module_readings
    module_readings.fixed = {}


def _values(found: dict[str, Any]) -> dict[Any, Any]:
    """Return each series' values by its key."""
    return {series["key"]: series["values"] for series in found["series"]}


@pytest.mark.above_the_stores
def test_an_answer_is_served_exactly_as_documented(readings: Readings) -> None:
    """Columns of one length, empty buckets filled in, copies and what lies outside left out."""
    assert readings.ask(f"{WINDOW}&metric=count,avg:number,min:price,max:level") == {
        "window": {"since": "2023-11-14T22:13:00Z", "until": "2023-11-14T22:17:00Z"},
        "bucket": "PT1M",
        "buckets": ["2023-11-14T22:13:00Z", "2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z", "2023-11-14T22:16:00Z"],
        "by": None,
        "metrics": ["count", "avg:number", "min:price", "max:level"],
        "series": [
            {
                "key": None,
                "records": 4,
                "values": {
                    "count": [3, 0, 1, 0],
                    "avg:number": [pytest.approx(-2 / 3), None, 3.0, None],
                    "min:price": ["1.1", None, None, None],
                    "max:level": [0.5, None, None, None],
                },
            }
        ],
        "omitted_groups": 0,
        "partial": False,
    }


def test_fifty_groups_are_shown_and_the_others_counted(readings: Readings) -> None:
    """Those with the most records, however many values the field has."""
    readings.put([Row(M0_US + 1 + number, f"g{number}", Reading(number=1_000 + number % 70)) for number in range(100)])
    found = readings.ask(f"{WINDOW}&by=number&metric=count,p50:number&number.gte=1000")
    assert [series["key"] for series in found["series"]] == [*range(1_000, 1_030), *range(1_030, 1_050)]
    assert [series["records"] for series in found["series"]] == [2] * 30 + [1] * 20
    assert found["omitted_groups"] == 20
    assert all(series["values"]["p50:number"][0] == series["key"] for series in found["series"])


def test_numbers_at_the_edges_of_their_types_are_served(readings: Readings) -> None:
    """Extremes to the last digit; an average is a floating-point number, and never a failure."""
    readings.clear()
    readings.put(
        [
            Row(M0_US, "a", Reading(number=_LARGEST, level=1e308, price=Decimal(_HUGE))),
            Row(M0_US, "b", Reading(number=_LARGEST, level=1.5e308, price=Decimal(_HUGE))),
            Row(M0_US + MINUTE_US, "c", Reading(number=_SMALLEST, level=5e-324, price=Decimal(f"-{_HUGE}"))),
        ]
    )
    readings.settle(M0_US + 4 * MINUTE_US)
    metrics = ["min:number", "max:number", "avg:number", "min:price", "max:price", "avg:price", "max:level"]
    found = _values(readings.ask(f"{WINDOW}&metric={','.join(metrics)}"))[None]
    assert {name: values[:2] for name, values in found.items()} == {
        "min:number": [_LARGEST, _SMALLEST],
        "max:number": [_LARGEST, _SMALLEST],
        "avg:number": [float(_LARGEST), float(_SMALLEST)],
        "min:price": [_HUGE, f"-{_HUGE}"],
        "max:price": [_HUGE, f"-{_HUGE}"],
        "avg:price": [1e29, -1e29],
        "max:level": [1.5e308, 5e-324],
    }
    averages = _values(readings.ask(f"{WINDOW}&metric=avg:level"))[None]["avg:level"]
    assert averages == [None, 5e-324, None, None]  # beyond the largest number that JSON readers know


def test_the_delay_is_what_lies_between_publication_and_the_store(readings: Readings) -> None:
    """In seconds, of the records that were published; those that came over HTTP have none."""
    readings.clear()
    delays_us = (250_000, 1_500_000, None, 40 * MINUTE_US)
    readings.put([Row(M0_US + number, f"d{number}", Reading(), delay) for number, delay in enumerate(delays_us)])
    readings.put([Row(M0_US + MINUTE_US, "http", Reading())])
    readings.settle(M0_US + 4 * MINUTE_US)
    found = _values(readings.ask(f"{WINDOW}&metric=count,min:delay,avg:delay,max:delay,p50:delay,p95:delay"))[None]
    assert {name: values[:2] for name, values in found.items()} == {
        "count": [4, 1],
        "min:delay": [0.25, None],
        "avg:delay": [pytest.approx(2401.75 / 3), None],
        "max:delay": [2400.0, None],
        "p50:delay": [pytest.approx(1.5, abs=1.25), None],
        "p95:delay": [2400.0, None],
    }
    grouped = readings.ask(f"{WINDOW}&by=source&metric=max:delay&number.isnull=true")
    assert _values(grouped) == {None: {"max:delay": [2400.0, None, None, None]}}
