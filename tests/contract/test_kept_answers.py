"""Answers that are kept, by the service and by its callers, over every store."""

import asyncio

import httpx
import pytest

from app.stores.query import Query
from app.stores.source import Answer, QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.service import SINCE, WINDOW, Service, lasting_headers
from tests.contract.stores import T0_US, Engine
from tests.contract.watched import Watched

pytestmark = pytest.mark.above_the_stores


class _Held(Watched):
    """A runner whose queries wait until they are let go."""

    def __init__(self, runner: QueryRunner) -> None:
        super().__init__(runner)
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def rows(self, query: Query) -> Answer:
        self.queries.append(query)
        self.begun.set()
        await self.go.wait()
        return await self._inner.rows(query)


@pytest.fixture
def watched(service: Service) -> Watched:
    """Give what knows of every query."""
    return Watched(service.store.runner)


@pytest.fixture
def kept(engine: Engine, service: Service, watched: Watched) -> Service:
    """Give the service over three settled records."""
    return Service(engine, service.store, runner=watched)


@pytest.mark.parametrize("window", ["since=" + SINCE, "since=-PT1H", "since={since}&until={until}".format(**WINDOW)])
def test_a_hundred_equal_polls_are_one(engine: Engine, service: Service, window: str) -> None:
    """Those that come while it is under way join it: the store is asked what one would ask, and all have one answer."""
    alone = Watched(service.store.runner)
    assert Service(engine, service.store, runner=alone).client().get(f"/v1/records?{window}&limit=2").status_code == 200
    held = _Held(service.store.runner)
    app = Service(engine, service.store, runner=held).app

    async def polls() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            tasks = [asyncio.create_task(client.get(f"/v1/records?{window}&limit=2")) for _ in range(100)]
            async with asyncio.timeout(60):
                await held.begun.wait()
                for _ in range(50):  # turns for the others to come
                    await asyncio.sleep(0)
                held.go.set()
                return await asyncio.gather(*tasks)

    answers = engine.loop.run(polls())
    assert len(held.queries) == len(alone.queries)
    assert len(alone.queries) == 1 or "-PT1H" in window  # an hour is several slices, where a query is cheap
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    states = [answer.headers["sluice-cache"] for answer in answers]
    assert states.count("miss") == 1
    assert set(states) <= {"miss", "joined", "hit"}


def test_an_answer_is_given_again_as_long_as_it_holds(kept: Service, watched: Watched) -> None:
    """That of a closed window for long; that of an open one until it is old, or until there are new records."""
    client, clock = kept.client(), kept.store.clock
    assert isinstance(clock, FakeClock)

    def state(query: str) -> str:
        return client.get(f"/v1/records?{query}").headers["sluice-cache"]

    closed = "since={since}&until={until}".format(**WINDOW)
    assert [state(closed), state(closed)] == ["miss", "hit"]
    assert [state("limit=2"), state("limit=2")] == ["miss", "hit"]
    kept.engine.loop.run(clock.advance(watched.profile.open_ttl_s))
    assert [state("limit=2"), state(closed)] == ["miss", "hit"]
    assert state("freshness=latest") == state("freshness=latest") == "bypass"
    assert state("explain=true") == "bypass"
    assert client.get("/v1/records/id1").headers["sluice-cache"] == "bypass"
    seen = len(watched.queries)
    assert state(closed) == "hit"
    assert len(watched.queries) == seen


def test_who_has_the_answer_is_told_so_without_a_query(kept: Service, watched: Watched) -> None:
    """The tag is known beforehand, also to an instance that never gave that answer."""
    client = kept.client()
    got = client.get("/v1/records", params=WINDOW)
    other = Service(kept.engine, kept.store, runner=watched).client()
    watched.queries.clear()
    for method in ("GET", "HEAD"):
        for field in (got.headers["etag"], f'"x", W/{got.headers["etag"]}', "*"):
            answer = other.request(method, "/v1/records", params=WINDOW, headers={"If-None-Match": field})
            assert (answer.status_code, answer.content) == (304, b"")
            for name in ("etag", "cache-control", "vary"):
                assert answer.headers[name] == got.headers[name]
            assert "content-type" not in answer.headers
    assert watched.queries == []
    assert other.get("/v1/records", params=WINDOW, headers={"If-None-Match": '"x"'}).content == got.content


def test_a_tag_is_of_one_answer(kept: Service) -> None:
    """Whatever shapes the bytes makes it another one; how they were asked for in headers does not."""
    client = kept.client()

    def tag(asked: dict[str, str], accept: str = "*/*") -> str:
        answer = client.get("/v1/records", params=WINDOW | asked, headers={"accept": accept})
        assert answer.status_code == 200
        return answer.headers["etag"]

    shapes: list[dict[str, str]] = [
        {},
        {"limit": "2"},
        {"order": "desc"},
        {"fields": "id"},
        {"fields": "id,source"},
        {"fields": "source,id"},
        {"id": "id1"},
        {"id.ne": "id1"},
        {"count": "exact"},
        {"count": "capped"},
        {"format": "csv"},
        {"format": "csv", "csv_guard": "true"},
        {"format": "ndjson"},
        {"until": "2023-11-14T22:13:20.000040Z"},
        {"since": "2023-11-14T22:13:20.000001Z"},
    ]
    assert len({tag(shape) for shape in shapes}) == len(shapes)
    assert tag({}, accept="text/csv") != tag({}) == tag({}, accept="application/json")


def test_a_kept_answer_is_the_same_in_every_byte(kept: Service) -> None:
    """A strong tag promises so: made anew, and by another instance, much later."""
    first = kept.client().get("/v1/records", params=WINDOW | {"limit": "2"})
    kept.store.clock.advance_to(T0_US + 10**12)
    again = Service(kept.engine, kept.store).client().get("/v1/records", params=WINDOW | {"limit": "2"})
    assert again.headers["sluice-cache"] == first.headers["sluice-cache"] == "miss"
    assert again.content == first.content
    assert lasting_headers(again) == lasting_headers(first)
