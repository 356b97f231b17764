"""A member that was declared later, over every store: readers see one field, wherever a row holds its value."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pytest
from msgspec import Meta

from app.schema.table import records_table
from tests.contract.service import WINDOW, Service
from tests.contract.stores import REJECTS, T0_US, Engine

_PROMOTED = Meta(extra={"sluice": ["promoted", "filter", "aggregate"]})


class Order(msgspec.Struct, kw_only=True):
    """A type whose optional fields were members of the rest."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    price: Annotated[float | None, _PROMOTED] = None
    size: Annotated[int | None, _PROMOTED] = None
    colour: Annotated[str | None, _PROMOTED] = None
    is_gift: Annotated[bool | None, _PROMOTED] = None
    at: Annotated[datetime, Meta(tz=True, extra={"sluice": ["promoted", "filter"]})] | None = None
    rest: Annotated[dict[str, Any], Meta(extra={"sluice": ["rest", "filter"]})] = {}


ORDERS = records_table(Order)
_AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_NEW = Order(id="new", price=1.5, size=3, colour="red", is_gift=True, at=_AT, rest={"gate": "D5"})
_OLD_REST = {
    "price": 1.5,
    "size": 3,
    "colour": "red",
    "is_gift": True,
    "at": "2026-01-31T12:00:00+02:30",
    "gate": "D5",
}
_WRONG_REST = {"price": "NaN", "size": 1.5, "colour": 7, "is_gift": None, "at": "noon"}
_ROWS = [
    _NEW,
    Order(id="old", rest=_OLD_REST),
    Order(id="wrong", rest=_WRONG_REST),
    Order(id="both", size=4, rest={"size": 5}),
    Order(id="none"),
]
_SEEN = {
    "new": {"price": 1.5, "size": 3, "is_gift": True, "rest": {"gate": "D5"}},
    "old": {"price": 1.5, "size": 3, "is_gift": True, "rest": {"gate": "D5"}},
    "wrong": {
        "price": None,
        "size": None,
        "is_gift": None,
        "rest": {name: value for name, value in _WRONG_REST.items() if name != "is_gift"},
    },
    "both": {"price": None, "size": 4, "is_gift": None, "rest": {"size": 5}},
    "none": {"price": None, "size": None, "is_gift": None, "rest": {}},
}
_FIELDS = ("price", "size", "is_gift", "rest")


@pytest.fixture(scope="module")
def orders(engine: Engine) -> Iterator[Service]:
    """Give a service over records of both images."""
    store = engine.loop.run(engine.open([ORDERS, REJECTS]))
    service = Service(engine, store, ORDERS)
    service.put(ORDERS, [(T0_US + number, f"k{number}", order) for number, order in enumerate(_ROWS)])
    service.settle(T0_US + 100)
    yield service
    engine.loop.run(store.close())


def some(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of _SEEN."""
    return {name: record[name] for name in _FIELDS}


def test_every_way_out_shows_one_field(orders: Service) -> None:
    """Pages, by id, NDJSON, CSV and Arrow; an older record is the same as a newer one."""
    client = orders.client()
    records = client.get("/v1/records", params=WINDOW).json()["records"]
    assert {each["id"]: some(each) for each in records} == _SEEN
    declared = [name for name in Order.__struct_fields__ if name != "id"]
    by_id = {each["id"]: {name: each[name] for name in declared} for each in records}
    assert by_id["old"] == by_id["new"]
    assert some(client.get("/v1/records/old").json()) == _SEEN["old"]
    everything = WINDOW | {"limit": "all"}
    lines = client.get("/v1/records", params=everything | {"format": "ndjson"}).content.splitlines()
    assert {each["id"]: some(each) for each in map(msgspec.json.decode, lines)} == _SEEN
    rows = {
        row["id"]: row
        for row in csv.DictReader(io.StringIO(client.get("/v1/records", params=everything | {"format": "csv"}).text))
    }
    assert (rows["old"]["price"], rows["old"]["at"], msgspec.json.decode(rows["old"]["rest"])) == (
        "1.5",
        rows["new"]["at"],
        {"gate": "D5"},
    )
    table = pa.ipc.open_stream(client.get("/v1/records", params=everything | {"format": "arrow"}).content).read_all()
    arrow = {row["id"]: row for row in table.to_pylist()}
    assert arrow["old"]["price"] == arrow["new"]["price"] == 1.5
    assert arrow["old"]["at"] == arrow["new"]["at"] == _AT


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"size": "3"}, ["new", "old"]),
        ({"price.gte": "1.5"}, ["new", "old"]),
        ({"colour.prefix": "re"}, ["new", "old"]),
        ({"at": "2026-01-31T09:30:00Z"}, ["new", "old"]),
        ({"is_gift": "true"}, ["new", "old"]),
        ({"size.isnull": "true"}, ["wrong", "none"]),
        ({"rest.gate": "D5"}, ["new", "old"]),
        ({"rest.size.isnull": "false"}, ["wrong", "both"]),
        ({"rest.colour": "7"}, ["wrong"]),
    ],
)
def test_a_filter_compares_one_field(orders: Service, asked: dict[str, str], found: list[str]) -> None:
    """Its own, or the member of the rest; what was taken out of the rest is not found there."""
    page = orders.client().get("/v1/records", params=WINDOW | {"fields": "id"} | asked)
    assert [each["id"] for each in page.json()["records"]] == found
