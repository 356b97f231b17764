"""Filters on JSON values over every store: what is compared as a number, what as text, and what is neither."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.record import Record
from tests.contract.application import principal
from tests.contract.service import WINDOW, Service
from tests.contract.stores import RECORDS, REJECTS, T0_US, Engine

# By id, what stands at `data.v`.
_VALUES: dict[str, Any] = {
    "seven": 7,
    "text-seven": "7",
    "seven-point-five": 7.5,
    "minus": -8,
    "large": 1e3,
    "text-large": "1e3",
    "text-seventy": "70",
    "text-spaced": " 7",
    "text-nan": "NaN",
    "text-infinity": "Infinity",
    "text-quoted": '"7"',
    "true": True,
    "null": None,
    "list": [7],
    "object": {"v": 7},
}
_NUMBERS = ["seven", "seven-point-five", "minus", "large"]
_RECORDS = [
    *(Record(id=name, timestamp=datetime(2026, 1, 1, tzinfo=UTC), data={"v": v}) for name, v in _VALUES.items()),
    Record(id="whole-number", timestamp=datetime(2026, 1, 1, tzinfo=UTC), data=7),
    Record(id="whole-text", timestamp=datetime(2026, 1, 1, tzinfo=UTC), data="7"),
]


@pytest.fixture(scope="module")
def values(engine: Engine) -> Iterator[Service]:
    """Give a service over records of every JSON type, and a caller for each comparison of numbers."""
    store = engine.loop.run(engine.open([RECORDS, REJECTS]))
    service = Service(engine, store)
    service.principals |= {op: principal(op, **{f"data.v.{op}": "7"}) for op in ("gte", "lt")}
    service.put(RECORDS, [(T0_US + number, f"k{number}", record) for number, record in enumerate(_RECORDS)])
    service.settle(T0_US + 100)
    yield service
    engine.loop.run(store.close())


def found(values: Service, caller: str = "", **asked: str) -> list[str]:
    """Return the ids that a caller finds."""
    headers = {"Authorization": caller} if caller else {}
    answer = values.client().get("/v1/records", params=WINDOW | {"fields": "id"} | asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["records"]]


@pytest.mark.parametrize(
    ("operator", "text", "ids"),
    [
        ("gte", "7", ["seven", "seven-point-five", "large"]),
        ("gt", "7", ["seven-point-five", "large"]),
        ("lte", "7", ["seven", "minus"]),
        ("lt", "7", ["minus"]),
        ("gte", "-1e9", _NUMBERS),
        ("lt", "1e9", _NUMBERS),
    ],
)
def test_comparisons_of_numbers_find_numbers_only(values: Service, operator: str, text: str, ids: list[str]) -> None:
    """A text that looks like a number is none, nor is true, null, a list or an object."""
    assert found(values, **{f"data.v.{operator}": text}) == ids


@pytest.mark.above_the_stores
def test_a_fixed_filter_has_no_hole(values: Service) -> None:
    """A grant of records with a number from 7 on, or below, shows no text: on pages, by id, in statistics."""
    assert found(values, "gte") == ["seven", "seven-point-five", "large"]
    assert found(values, "lt") == ["minus"]
    client = values.client()
    for name, status in (("seven", 200), ("text-seven", 404), ("text-seventy", 404)):
        assert client.get(f"/v1/records/{name}", headers={"Authorization": "gte"}).status_code == status
    answer = client.get("/v1/records/stats", params=WINDOW, headers={"Authorization": "gte"}).json()
    assert sum(series["records"] for series in answer["series"]) == 3
