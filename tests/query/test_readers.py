"""Named readers: where each is, how far behind, who sees whom, and how many are remembered."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.grants import DEFAULT_SCOPES, Principal, Scope
from app.query.readers import (
    FORGOTTEN_AFTER_US,
    MOST_OF_ONE,
    MOST_READERS,
    SHARE_EVERY_S,
    Key,
    Readers,
    Seen,
    kept,
)
from app.runtime.instants import SECOND_US
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from sluice.testing.service import GOOD, SETTINGS, Service, running
from tests.contract.application import application, query_application
from tests.contract.stores import RECORDS, REJECTS, T0_US, EmbeddedEngine
from tests.sse import reading, until
from tests.telemetry.collected import scrape, values
from tests.valkey_server import SECRET, ValkeyServer, hurried_valkey, valkey_server  # noqa: F401 - fixtures

BILLING = {"Sluice-Reader": "billing"}


async def lags(client: httpx.AsyncClient, **headers: str) -> dict[str, float]:
    """Return the lag of each reader that the service lists, by its name."""
    answer = (await client.get("/v1/readers", headers=headers)).json()
    return {each["name"]: each["lag_s"] for each in answer["readers"]}


async def store(service: Service, count: int) -> None:
    """Store records, each a second after the one before."""
    for number in range(count):
        assert (await service.client.post("/v1/records", json=GOOD | {"id": f"r{number}"})).status_code == 201
        assert isinstance(service.clock, FakeClock)
        await service.clock.advance(1)


async def test_a_page_moves_its_reader_to_its_resume_cursor() -> None:
    """A reader is as far behind as the page that it got last, and falls behind while it asks for nothing."""
    clock = FakeClock()
    async with running(SETTINGS, clock) as service:
        await store(service, 5)
        first = (await service.client.get("/v1/records?limit=2&since=-PT1M", headers=BILLING)).json()
        assert await lags(service.client) == {"billing": 4.0}
        path = f"/v1/records?cursor={first['resume_cursor']}"
        assert len((await service.client.get(path, headers=BILLING)).json()["records"]) == 3
        assert await lags(service.client) == {"billing": 0.0}
        await clock.advance(90)
        (told,) = (await service.client.get("/v1/readers")).json()["readers"]
        assert (told["stream"], told["principal"], told["lag_s"]) == ("records", "local", 90.0)
        found = await scrape(service)
        assert values(found, "sluice_reader_lag_seconds", "table", "reader") == {
            ("records", "billing"): pytest.approx(90.0, abs=0.01)
        }


async def test_an_export_moves_its_reader_once_it_is_sent_whole() -> None:
    """Its cursor is in the head already, but a reader has the records only at the end."""
    async with running(SETTINGS, FakeClock()) as service:
        await store(service, 3)
        answer = await service.client.get("/v1/records?limit=all&since=-PT1M", headers=BILLING)
        assert len(answer.text.splitlines()) == 3
        assert await lags(service.client) == {"billing": 0.0}


@pytest.mark.parametrize(
    "query", ["order=desc", "explain=true", "until=2020-01-01T00:00:00Z&since=2020-01-01T00:00:00Z"]
)
async def test_a_read_that_goes_backwards_or_reads_nothing_is_no_position(query: str) -> None:
    """Only the feed in its order is followed; the last one is a 304 when it is asked for again."""
    async with running(SETTINGS, FakeClock()) as service:
        await store(service, 2)
        tag = (await service.client.get(f"/v1/records?{query}")).headers.get("etag", "")
        await service.client.get(f"/v1/records?{query}", headers=BILLING | {"If-None-Match": tag})
        await service.client.head("/v1/records?since=-PT1M", headers=BILLING)
        await service.client.get("/v1/records?since=-PT1M")
        assert await lags(service.client) == {}


@pytest.mark.parametrize("name", ["", "a" * 65, "with space", "é", "a/b"])
@pytest.mark.parametrize("path", ["/v1/records", "/v1/records?limit=all", "/v1/records/tail", "/v1/rejects"])
async def test_a_name_that_is_none_is_refused(path: str, name: str) -> None:
    """With the header's name, what is expected and an example."""
    async with running(SETTINGS, FakeClock()) as service:
        answer = await service.client.get(path, headers=[(b"Sluice-Reader", name.encode())])
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "invalid_parameter")
    assert (problem["errors"][0]["name"], problem["errors"][0]["example"]) == ("Sluice-Reader", "billing-export")


async def test_a_tail_is_caught_up_while_nothing_arrives(engine: EmbeddedEngine) -> None:
    """Its cursor stays where it is then, as the store is not read; the reader has everything all the same."""
    clock = FakeClock(T0_US)
    opened = await engine.open([RECORDS, REJECTS], clock)
    app = application(
        query_application(opened.runner, clock, (await engine.settings([])).replace(tail_max_s=240)).routes
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        async with reading(app, "/v1/records/tail", {}, {"sluice-reader": "screen"}) as stream:
            await until(lambda: len(stream.source.comments) >= 2, clock)
            assert clock.now_us() - T0_US >= 15 * SECOND_US
            (lag_s,) = (await lags(client)).values()
            assert lag_s < 15
        await clock.advance(600)
        (left_s,) = (await lags(client)).values()
        assert left_s >= 600
    await opened.close()


async def test_a_caller_sees_its_own_readers_and_an_operator_all(engine: EmbeddedEngine) -> None:
    """The scope `metrics` shows those of others: it reads their names and lags at `/metrics` as well."""
    clock = FakeClock(T0_US)
    opened = await engine.open([RECORDS, REJECTS], clock)
    read: frozenset[Scope] = frozenset({"read"})
    callers = {"a": Principal("a", read), "b": Principal("b", read), "ops": Principal("ops", DEFAULT_SCOPES)}
    app = application(query_application(opened.runner, clock, await engine.settings([])).routes, callers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:  # type: ignore[arg-type] # httpx knows dicts only
        for caller in callers:
            await client.get("/v1/records", headers={"Authorization": caller, "Sluice-Reader": f"of-{caller}"})
        seen = {caller: set(await lags(client, Authorization=caller)) for caller in callers}
    assert seen == {"a": {"of-a"}, "b": {"of-b"}, "ops": {"of-a", "of-b", "of-ops"}}
    await opened.close()


SEEN = st.dictionaries(
    st.tuples(st.sampled_from("abcdefg"), st.just("records"), st.integers(0, 40).map(str)).map(lambda key: Key(*key)),
    st.integers(0, 3 * FORGOTTEN_AFTER_US).map(lambda seen_us: Seen(0, seen_us)),
    max_size=250,
)


@given(SEEN)
def test_those_seen_last_are_remembered(seen: dict[Key, Seen]) -> None:
    """At most so many in all and of one caller, none for longer than a week, and none in place of one seen later."""
    now_us = 3 * FORGOTTEN_AFTER_US
    found = kept(seen, now_us)
    assert len(found) <= MOST_READERS
    for caller in {key.principal for key in seen}:
        own = sorted((each.seen_us for key, each in found.items() if key.principal == caller), reverse=True)
        fresh = [each.seen_us for key, each in seen.items() if key.principal == caller]
        fresh = sorted((seen_us for seen_us in fresh if now_us - seen_us < FORGOTTEN_AFTER_US), reverse=True)
        assert own == fresh[: len(own)]
        assert len(own) <= MOST_OF_ONE
        assert len(own) == min(len(fresh), MOST_OF_ONE) or len(found) == MOST_READERS


async def test_a_caller_with_many_names_takes_the_place_of_its_own() -> None:
    """The bound of one caller keeps the readers of others."""
    async with running(SETTINGS, FakeClock()) as service:
        query = service.app.instance.query
        assert query is not None
        readers: Readers = query.readers
        readers.note(Key("other", "records", "theirs"), 0)
        for number in range(2 * MOST_OF_ONE):
            await service.client.get("/v1/records", headers={"Sluice-Reader": f"r{number}"})
        names = set(await lags(service.client))
    assert names == {"theirs", *(f"r{number}" for number in range(MOST_OF_ONE, 2 * MOST_OF_ONE))}


async def test_instances_with_a_valkey_know_the_readers_of_each_other(valkey_server: ValkeyServer) -> None:  # noqa: F811 - the fixture
    """The later position counts wherever it was; without a Valkey an instance says that it knows its own."""
    settings = SETTINGS.replace(cache_url=valkey_server.url, cache_secret=SECRET)
    clocks = FakeClock(), FakeClock()

    async def listed(service: Service) -> tuple[str, list[str]]:
        answer = (await service.client.get("/v1/readers")).json()
        return answer["instances"], [each["position"] for each in answer["readers"]]

    async with running(settings, clocks[0]) as one, running(settings, clocks[1]) as other, running() as alone:
        await one.client.get("/v1/records", headers=BILLING)
        for clock in clocks:
            await clock.advance(3)
        await other.client.get("/v1/records", headers=BILLING)
        newest = await listed(other)
        async with asyncio.timeout(patience_s(30)):
            while await listed(one) != newest:
                for clock in clocks:
                    await clock.advance(SHARE_EVERY_S)
                await asyncio.sleep(0.01)  # for the Valkey
        assert (newest[0], await listed(alone)) == ("all", ("this", []))
        assert await listed(other) == newest, "an older position has replaced it"
