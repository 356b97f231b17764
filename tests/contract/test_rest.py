"""Undeclared members over every store: read as they were sent, on each way out, and filtered by their path."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from app.schema.record_json import record_schema
from app.schema.table import records_table
from app.schema.undeclared_members import undeclared_reader
from tests.contract.application import principal
from tests.contract.service import WINDOW, Service
from tests.contract.stores import REJECTS, T0_US, Engine


class Stop(msgspec.Struct):
    """A nested class that drops."""

    undeclared: ClassVar = "drop"
    at: str = ""


class Trip(msgspec.Struct):
    """A type that keeps what it does not declare."""

    id: Annotated[str, msgspec.Meta(extra={"sluice": ["id"]})]
    stops: list[Stop] = []
    rest: Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest", "filter"]})] = {}


TRIPS = records_table(Trip)
_RESTS: dict[str, dict[str, Any]] = {
    "none": {},
    "flat": {"gate": "D5", "price": 12.5, "none": None, "a b": [1, {"c": True}]},
    "deep": {"way": [{}, {"gate": {"no": 7}}], "gate": "D6"},
    "dots": {"stops.at": 1, "": {"": "\u2028"}, "gate": 5},
}
_SENT = {name: {"id": name, "stops": [{"at": "CDG", "gate": 1}], **rest} for name, rest in _RESTS.items()}


def read(sent: dict[str, Any]) -> Trip:
    """Return a record as ingest reads it."""
    reader, data = undeclared_reader(Trip), msgspec.json.encode(sent)
    assert reader is not None
    trip = msgspec.json.decode(data, type=Trip)
    reader.take(trip, data)
    return trip


@pytest.fixture(scope="module")
def trips(engine: Engine) -> Iterator[Service]:
    """Give a service over records with each kind of rest, and a caller who may see some of them."""
    store = engine.loop.run(engine.open([TRIPS, REJECTS]))
    service = Service(engine, store, TRIPS)
    service.principals["some"] = principal("some", **{"rest.gate": "D6"})
    service.put(TRIPS, [(T0_US + number, f"k{number}", read(sent)) for number, sent in enumerate(_SENT.values())])
    service.settle(T0_US + 100)
    yield service
    engine.loop.run(store.close())


def test_every_way_out_has_the_rest_as_it_was_sent(trips: Service) -> None:
    """Pages, by id, and the exports; in CSV as JSON."""
    client = trips.client()
    page = client.get("/v1/records", params=WINDOW | {"fields": "id,rest"})
    assert {each["id"]: each["rest"] for each in page.json()["records"]} == _RESTS
    assert client.get("/v1/records/deep").json()["rest"] == _RESTS["deep"]
    everything = WINDOW | {"fields": "id,rest", "limit": "all"}
    lines = client.get("/v1/records", params=everything | {"format": "ndjson"}).content.splitlines()
    assert {each["id"]: each["rest"] for each in map(msgspec.json.decode, lines)} == _RESTS
    rows = csv.DictReader(io.StringIO(client.get("/v1/records", params=everything | {"format": "csv"}).text))
    assert {row["id"]: msgspec.json.decode(row["rest"]) for row in rows} == _RESTS
    assert client.get("/v1/records", params=everything | {"format": "arrow"}).content.count(b"D5") == 1


@pytest.mark.above_the_stores
def test_a_fixed_filter_may_name_a_path_in_the_rest(trips: Service) -> None:
    """And `/v1/schema` names the field that has them."""
    some = {"Authorization": "some"}
    page = trips.client().get("/v1/records", params=WINDOW, headers=some)
    assert [each["id"] for each in page.json()["records"]] == ["deep"]
    for headers in (some, {}):
        tables = trips.client().get("/v1/schema", headers=headers).json()["tables"]
        assert tables[0]["undeclared_members"] == {"policy": "keep", "kept_in": "rest"}
        assert tables[0]["json_schema"] == record_schema(Trip, None)
