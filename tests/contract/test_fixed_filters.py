"""Fixed filters over every store: a record that does not meet a caller's does not exist for it, on any endpoint."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.record import Record
from tests.contract.application import principal
from tests.contract.service import SINCE, WINDOW, Client, Service, problem_of
from tests.contract.stores import RECORDS, REJECTS, T0_US, Engine

pytestmark = pytest.mark.above_the_stores

# The sources of the records id0, id1, …; id3 has two versions, the newer one of b.
_SOURCES = ["a", "b", None, "a", "b"]
_A, _B = {"Authorization": "a"}, {"Authorization": "b"}


@pytest.fixture(scope="module")
def fixed(engine: Engine) -> Iterator[Service]:
    """Give a service over records of two sources, and a caller for each of them."""
    store = engine.loop.run(engine.open([RECORDS, REJECTS]))
    service = Service(engine, store)
    service.principals |= {"a": principal("a", source="a"), "b": principal("b", source="b")}
    rows = [(number, f"id{number}", source) for number, source in enumerate(_SOURCES)]
    service.put(
        RECORDS,
        [
            (T0_US + number, f"k{number}", Record(id=name, timestamp=datetime(2026, 1, 1, tzinfo=UTC), source=source))
            for number, name, source in [*rows, (10, "id3", "b")]
        ],
    )
    service.settle(T0_US + 100)
    yield service
    engine.loop.run(store.close())


@pytest.fixture
def client(fixed: Service) -> Client:
    """Give a client of that service."""
    return fixed.client()


def _keys(page: dict[str, Any]) -> list[str]:
    return [record["delivery_key"] for record in page["records"]]


def test_pages_hold_what_the_caller_may_see(client: Client) -> None:
    """In a closed window and in an open one, however often each asks: no answer serves the other."""
    for _ in range(2):
        for window in (WINDOW, {"since": SINCE}):
            assert _keys(client.get("/v1/records", params=window, headers=_A).json()) == ["k0", "k3"]
            assert _keys(client.get("/v1/records", params=window, headers=_B).json()) == ["k1", "k4", "k10"]
            assert len(_keys(client.get("/v1/records", params=window).json())) == 6


def test_a_caller_cannot_filter_its_way_out(client: Client) -> None:
    """Filters of its own only narrow what it may see."""
    for asked in ({"source": "b"}, {"source.ne": "a"}, {"source.isnull": "true"}, {"source.in": "b,c"}):
        assert _keys(client.get("/v1/records", params=WINDOW | asked, headers=_A).json()) == []
    assert _keys(client.get("/v1/records", params=WINDOW | {"source.in": "a,b"}, headers=_A).json()) == ["k0", "k3"]


def test_one_record_is_there_for_who_may_see_it(client: Client) -> None:
    """The latest version is the latest that the caller may see, and there are no others for it."""
    assert client.get("/v1/records/id0", headers=_A).json()["source"] == "a"
    assert problem_of(client.get("/v1/records/id0", headers=_B))["code"] == "not_found"
    assert problem_of(client.get("/v1/records/id2", headers=_B))["code"] == "not_found"
    assert client.get("/v1/records/id3", headers=_A).json()["delivery_key"] == "k3"
    assert client.get("/v1/records/id3", headers=_B).json()["delivery_key"] == "k10"
    assert _keys(client.get("/v1/records/id3?versions=all", headers=_A).json()) == ["k3"]
    assert _keys(client.get("/v1/records/id3?versions=all").json()) == ["k10", "k3"]
    hidden, missing = (problem_of(client.get(f"/v1/records/{name}", headers=_B)) for name in ("id0", "id9"))
    assert hidden["detail"].replace("id0", "id9") == missing["detail"], "nobody can tell them apart"


def test_counts_and_statistics_are_of_what_the_caller_may_see(client: Client) -> None:
    """Groups that it may not see have no name there either."""
    for headers, records in ((_A, 2), (_B, 3), ({}, 6)):
        for count in ("exact", "capped"):
            page = client.get("/v1/records", params=WINDOW | {"count": count, "limit": "1"}, headers=headers).json()
            assert page["count"] == {"value": records, "relation": "eq"}
        for window in (WINDOW, {"since": SINCE}):
            stats = client.get("/v1/records/stats", params=window, headers=headers).json()
            assert stats["series"][0]["records"] == records
    grouped = client.get("/v1/records/stats", params=WINDOW | {"by": "source"}, headers=_A).json()
    assert [(series["key"], series["records"]) for series in grouped["series"]] == [("a", 2)]


@pytest.mark.parametrize("path", ["/v1/records", "/v1/records/stats"])
def test_an_entity_tag_of_one_caller_is_none_of_another(client: Client, path: str) -> None:
    """So that whoever has it learns nothing of the other's records, not even that they are unchanged."""
    tags = [client.get(path, params=WINDOW, headers=each).headers["etag"] for each in (_A, _B, {})]
    assert len(set(tags)) == 3
    for tag, own in zip(tags, (_A, _B, {}), strict=True):
        for headers in (_A, _B, {}):
            answer = client.get(path, params=WINDOW, headers=headers | {"If-None-Match": tag})
            assert answer.status_code == (304 if headers == own else 200)


@pytest.mark.parametrize("kind", ["next_cursor", "resume_cursor"])
def test_cursors_authorise_nothing(client: Client, kind: str) -> None:
    """One that another caller's page gave goes on at its place, among the records of who uses it."""
    for giver, user, rest in ((_A, _B, ["k1", "k4", "k10"]), (_B, _A, ["k3"]), ({}, _A, ["k3"]), (_A, {}, None)):
        first = client.get("/v1/records", params=WINDOW | {"limit": "1"}, headers=giver).json()
        cursor = first[kind]
        found = client.get("/v1/records", params={"cursor": cursor}, headers=user)
        expected = ["k1", "k2", "k3", "k4", "k10"] if rest is None else rest
        assert _keys(found.json()) == expected
