"""The fields that are served, over every store: those that were asked for, in that order, and no others."""

from typing import Any

import msgspec
import pytest

from app.stores.query import Rows
from tests.contract.every import every
from tests.contract.service import WINDOW, Service
from tests.contract.stores import Engine
from tests.contract.watched import Watched

__all__ = ["every"]


def _members(body: bytes) -> list[list[tuple[str, Any]]]:
    """Return the records of a page, the order of their members kept."""
    return [list(record.items()) for record in msgspec.json.decode(body)["records"]]


@pytest.mark.parametrize(
    ("fields", "record"),
    [
        ("id", [("id", "low")]),
        ("number,id", [("number", -5), ("id", "low")]),
        ("site", [("site", {"floor": -1, "room": "b"})]),
        ("site.room", [("site", {"room": "b"})]),
        ("site.room,id,site.floor", [("site", {"room": "b", "floor": -1}), ("id", "low")]),
        (" id , message_index ", [("id", "low"), ("message_index", 0)]),
        ("delivery_key,ingest_time", [("delivery_key", "k1"), ("ingest_time", "2023-11-14T22:13:20.000001Z")]),
        ("price,raw", [("price", "-1.1"), ("raw", "AA==")]),
    ],
)
def test_a_page_has_the_fields_that_were_asked_for(every: Service, fields: str, record: list[tuple[str, Any]]) -> None:
    """At any depth, in the order of the parameter; whatever the page needed for itself is left out."""
    page = every.client().get("/v1/records", params=WINDOW | {"fields": fields, "id": "low"})
    assert _members(page.content) == [record]
    found = every.client().get("/v1/records/low", params={"fields": fields})
    assert list(found.json().items()) == record


def test_what_is_not_served_is_not_read(engine: Engine, service: Service) -> None:
    """Fewer fields are fewer bytes: the query names no other columns."""
    watched = Watched(service.store.runner)
    other = Service(engine, service.store, runner=watched).client()
    assert other.get("/v1/records", params=WINDOW | {"fields": "source"}).status_code == 200
    (query,) = watched.queries
    assert isinstance(query, Rows)
    assert set(query.columns) == {"source", "delivery_key", "ingest_time"}
