"""Filters over every store, against a plain model: each operator on each kind of value."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from app.record import Record
from tests.contract.application import principal
from tests.contract.every import FIELDS, KEYS, RECORDS, Every, every
from tests.contract.service import WINDOW, Service, problem_of
from tests.contract.stores import RECORDS as DEFAULT
from tests.contract.stores import REJECTS, T0_US, Engine

__all__ = ["every"]

# By field, the texts to compare with; what they name is found by `_read`.
_TEXTS: dict[str, list[str]] = {
    "id": ["low", "LOW"],
    "flag": ["true", "false"],
    "number": ["0", "-5", "9223372036854775807"],
    "ratio": ["0", "-0.5", "1e300"],
    "price": ["-1.1", "99999999999999999999999999999.999999999"],
    "text": ["a", "a,b", "", 'é "quoted"\n', "é"],
    "raw": [b64encode(raw).decode() for raw in (b"\x00", b"\xff", b"")],
    "key": [str(KEYS[0]), str(KEYS[1]).upper()],
    "at": ["2026-01-31T13:00:00.000001+01:00", "9999-12-31T23:59:59.999999Z"],
    "day": ["2026-02-01", "9999-12-31"],
    "clock": ["12:00:00", "00:00:00.000001"],
    "site.floor": ["-1", "2"],
    "site.room": ["b", ""],
}
_READ: dict[str, Callable[[str], Any]] = {
    "flag": lambda text: text == "true",
    "number": int,
    "ratio": float,
    "price": Decimal,
    "raw": b64decode,
    "key": lambda text: str(UUID(text)),
    "at": datetime.fromisoformat,
    "day": date.fromisoformat,
    "clock": time.fromisoformat,
    "site.floor": int,
}
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "lt": lambda value, wanted: value < wanted,
    "lte": lambda value, wanted: value <= wanted,
    "gt": lambda value, wanted: value > wanted,
    "gte": lambda value, wanted: value >= wanted,
    "prefix": lambda value, wanted: value.startswith(wanted),
}


def _found(service: Service, caller: str = "", **asked: str) -> list[str]:
    headers = {"Authorization": caller} if caller else {}
    answer = service.client().get("/v1/records", params=WINDOW | {"fields": "id"} | asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["records"]]


def _value(record: Every, path: str) -> Any:
    value: Any = record
    for name in path.split("."):
        value = getattr(value, name, None)
    return str(value) if isinstance(value, UUID) else value


def _ids(test: Callable[[Every], bool]) -> list[str]:
    return [record.id for record in RECORDS if test(record)]


_COMPARISONS = [
    (path, operator)
    for path, field in FIELDS.items()
    if path in _TEXTS
    for operator in field.operators
    if operator in _ORDERED
]


@pytest.mark.parametrize(("path", "operator"), _COMPARISONS)
def test_a_comparison_keeps_what_the_model_keeps(every: Service, path: str, operator: str) -> None:
    """Of the values' own type, to the last digit; a record without a value meets none."""
    texts = [text for text in _TEXTS[path] if operator != "prefix" or text]
    for text in texts if every.engine.name == "embedded" else texts[-1:]:  # a query takes a fifth of a second there
        wanted = _READ.get(path, str)(text)

        def meets(record: Every, wanted: Any = wanted) -> bool:
            value = _value(record, path)
            return value is not None and _ORDERED[operator](value, wanted)

        assert _found(every, **{path if operator == "eq" else f"{path}.{operator}": text}) == _ids(meets)


@pytest.mark.parametrize("path", _TEXTS)
def test_isnull_tells_the_records_without_a_value(every: Service, path: str) -> None:
    """An empty text is a value."""
    assert _found(every, **{f"{path}.isnull": "true"}) == _ids(lambda record: _value(record, path) is None)
    assert _found(every, **{f"{path}.isnull": "false"}) == _ids(lambda record: _value(record, path) is not None)


@pytest.mark.parametrize("path", [path for path in _TEXTS if "in" in FIELDS[path].operators])
def test_in_keeps_any_of_several_values(every: Service, path: str) -> None:
    """One with a comma or a quote in it stands in double quotes."""
    texts = _TEXTS[path]
    wanted = [_READ.get(path, str)(text) for text in texts]
    listed = ",".join(f'"{text.replace(chr(34), chr(34) * 2)}"' for text in texts)
    assert _found(every, **{f"{path}.in": listed}) == _ids(lambda record: _value(record, path) in wanted)


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("tree.n", "5", ["low"]),
        ("tree.n.gt", "9", ["middle"]),  # numbers are compared as numbers: as text, 10 would be less
        ("tree.n.lt", "9.5", ["low"]),
        ("tree.n.gte", "5", ["low", "middle"]),
        ("tree.n.in", "5,10", ["low", "middle"]),
        ("tree.n.ne", "5", ["nothing", "middle", "high", "empty"]),
        ("tree.n.isnull", "false", ["low", "middle"]),
        ("tree.s.prefix", "t", ["middle"]),
        ("tree.s.lt", "6", []),  # a text that looks like a number is none
        ("tree.items.0.price.gte", "9.5", ["low"]),
        ("tree.items.1", "x", ["low"]),
        ("tree.items.2.isnull", "false", []),
        ("tree.0", "list", ["high"]),
        ("tree.deep.a.b", "true", ["low"]),
        ("tree.deep.isnull", "false", []),  # an object is no value to compare with
        ("tree.n.s", "5", []),
        ("tree", "text", ["empty"]),
        ("tree.prefix", "te", ["empty"]),
        ("tree.isnull", "true", ["nothing"]),
        ("text.in", "", ["empty"]),
        ("key.prefix", "3F2504", ["low", "middle"]),
        ("key.prefix", "3f2504e0-4", ["low"]),
    ],
)
def test_what_has_a_shape_of_its_own_is_compared_as_documented(
    every: Service, name: str, text: str, ids: list[str]
) -> None:
    """Below a JSON column by a path, in which digits are a place in a list; a UUID by its beginning."""
    assert _found(every, **{name: text}) == ids


@pytest.mark.above_the_stores
def test_a_cursor_with_other_filters_is_refused(every: Service) -> None:
    """Under others it would pass over records; in another order they are the same."""
    asked = {"number.isnull": "false", "flag": "true"}
    cursor = every.client().get("/v1/records", params=WINDOW | asked | {"limit": "1"}).json()["next_cursor"]
    assert _follow(every, {"flag": "true", "number.isnull": "false"}, cursor) == ["high"]
    for others in ({}, {"flag": "true"}, asked | {"text.ne": "a"}, asked | {"flag": "false"}):
        refused = every.client().get("/v1/records", params={**others, "cursor": cursor})
        problem = problem_of(refused)
        assert (problem["code"], problem["detail"]) == (
            "invalid_cursor",
            "the cursor belongs to a query with other filters",
        )


def _follow(every: Service, asked: dict[str, str], cursor: str) -> list[str]:
    answer = every.client().get("/v1/records", params=asked | {"cursor": cursor})
    return [record["id"] for record in answer.json()["records"]]


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
_JSON_RECORDS = [
    *(Record(id=name, timestamp=datetime(2026, 1, 1, tzinfo=UTC), data={"v": v}) for name, v in _VALUES.items()),
    Record(id="whole-number", timestamp=datetime(2026, 1, 1, tzinfo=UTC), data=7),
    Record(id="whole-text", timestamp=datetime(2026, 1, 1, tzinfo=UTC), data="7"),
]


@pytest.fixture(scope="module")
def values(engine: Engine) -> Iterator[Service]:
    """Give a service over records of every JSON type, and a caller for each comparison of numbers."""
    store = engine.loop.run(engine.open([DEFAULT, REJECTS]))
    service = Service(engine, store)
    service.principals |= {op: principal(op, **{f"data.v.{op}": "7"}) for op in ("gte", "lt")}
    service.put(DEFAULT, [(T0_US + number, f"k{number}", record) for number, record in enumerate(_JSON_RECORDS)])
    service.settle(T0_US + 100)
    yield service
    engine.loop.run(store.close())


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
    assert _found(values, **{f"data.v.{operator}": text}) == ids


@pytest.mark.above_the_stores
def test_a_fixed_filter_has_no_hole(values: Service) -> None:
    """A grant of records with a number from 7 on, or below, shows no text: on pages, by id, in statistics."""
    assert _found(values, "gte") == ["seven", "seven-point-five", "large"]
    assert _found(values, "lt") == ["minus"]
    client = values.client()
    for name, status in (("seven", 200), ("text-seven", 404), ("text-seventy", 404)):
        assert client.get(f"/v1/records/{name}", headers={"Authorization": "gte"}).status_code == status
    answer = client.get("/v1/records/stats", params=WINDOW, headers={"Authorization": "gte"}).json()
    assert sum(series["records"] for series in answer["series"]) == 3
