"""What one store answers, every store answers: the same rows in each, and the same requests."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest

from app.record import Record, RejectedRecord
from tests.contract.bigquery import BigQueryEngine
from tests.contract.service import WINDOW, Client, Service, lasting_headers
from tests.contract.shelf import LOOKBACK_US
from tests.contract.stores import RECORDS, REJECTS, T0_US, EmbeddedEngine, Engine
from tests.long_form import long
from tests.support.local_bigquery import Double

_DATA: list[Any] = [
    None,
    {"z": 1, "a": [1.5, None, True, {"": "\u2028"}]},
    "text",
    [],
    2**53 + 1,
    -0.0,
    {"n": {"n": {"n": []}}},
]
ASKED: list[dict[str, str]] = [
    {},
    {"order": "desc"},
    {"limit": "3"},
    {"limit": "3", "order": "desc"},
    {"format": "ndjson"},
    {"until": "2023-11-14T22:13:20.000001Z"},
    {"since": "2023-11-14T22:13:20.000003Z", "until": "2023-11-14T22:28:00Z"},
]
PATHS = ["id1?versions=all", "id1", "id4?versions=all", "nobody", "id1?limit=1"]
_COPIES = [(T0_US + 20, "k1"), (T0_US + 21, "k1"), (T0_US + 1 + LOOKBACK_US, "k1")]


def _fill(service: Service) -> None:
    """Store records of many shapes, copies of one of them, and rejects."""
    records = [
        Record(
            id=f"id{number % 5}", timestamp=datetime(2026, 1, number + 1, tzinfo=UTC), source="ü" * number, data=data
        )
        for number, data in enumerate(_DATA)
    ]
    rows = [(T0_US + number, f"k{number}", record) for number, record in enumerate(records)]
    copies = [(stamp_us, key, records[1]) for stamp_us, key in _COPIES]
    service.put(RECORDS, [*rows, *copies])
    rejected = [
        RejectedRecord(reason="invalid", detail="dé", field=field, payload=bytes(range(256)), part=part, parts=2)
        for part, field in enumerate(("a.b", None))
    ]
    service.put(REJECTS, [(T0_US + part, f"r{part}", each) for part, each in enumerate(rejected)])


@pytest.fixture(scope="module")
def clients(local_bigquery: Double, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Client]]:
    """Give a client of each store's application; all of them hold the same rows."""
    engines: list[Engine] = [EmbeddedEngine(tmp_path_factory.mktemp("stores")), BigQueryEngine(local_bigquery)]
    services = [Service(engine, engine.loop.run(engine.open([RECORDS, REJECTS]))) for engine in engines]
    for service in services:
        _fill(service)
    yield [service.client() for service in services]
    for service in services:
        service.engine.loop.run(service.store.close())
        service.engine.loop.close()


@pytest.mark.parametrize("path", ["/v1/records", "/v1/rejects"])
@pytest.mark.parametrize("asked", [ASKED[0], *(pytest.param(each, marks=long) for each in ASKED[1:])], ids=urlencode)
def test_pages_are_the_same(clients: list[Client], path: str, asked: dict[str, str]) -> None:
    """Field by field and header by header, cursors, entity tags and all."""
    _assert_same([client.get(path, params=WINDOW | asked) for client in clients])


@pytest.mark.parametrize("path", [PATHS[0], *(pytest.param(each, marks=long) for each in PATHS[1:])])
def test_look_ups_are_the_same(clients: list[Client], path: str) -> None:
    """Of the latest version, of all of them, and of what is not there."""
    _assert_same([client.get(f"/v1/records/{path}") for client in clients])


def test_a_walk_is_the_same_from_either_store_to_the_other(clients: list[Client]) -> None:
    """A cursor of one store goes on in the other: it holds nothing of either."""
    here, there = clients
    url, answers = "/v1/records?limit=2&since={since}&until={until}".format(**WINDOW), []
    while url:
        answers.append(here.get(url))
        url = answers[-1].links["next"]["url"] if "next" in answers[-1].links else ""
        here, there = there, here
    found = [record["delivery_key"] for answer in answers for record in answer.json()["records"]]
    assert found == [f"k{number}" for number in range(len(_DATA))]


def _assert_same(answers: list[httpx.Response]) -> None:
    first, *others = answers
    for other in others:
        assert other.status_code == first.status_code
        assert lasting_headers(other) == lasting_headers(first)
        assert _content(other) == _content(first)


def _content(answer: httpx.Response) -> list[Any]:
    return [msgspec.json.decode(line) for line in answer.content.splitlines()]
