"""What `/v1/state` answers over HTTP, beside the law (test_state_laws)."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from app.runtime.instants import DAY_US, HOUR_US, SECOND_US, to_text
from app.schema.table import records_table
from app.stores.query import Query, State
from app.stores.source import Answer, QueryError, QueryTimeoutError, QueryTooExpensiveError
from tests.contract.application import principal
from tests.contract.service import Client, Nameless, Service, problem_of
from tests.contract.stores import REJECTS, T0_US, Engine
from tests.contract.test_state_laws import FLIGHTS, Flight, Plain
from tests.contract.watched import Watched

pytestmark = pytest.mark.above_the_stores


def _flight(record_id: str, gate: str = "x", **values: Any) -> Flight:
    return Flight(id=record_id, gate=gate, airline="p", **values)


@pytest.fixture
def flights(engine: Engine) -> Iterator[Service]:
    """Give four ids: one with a late version, one that has left gate x, one cancelled, and one plain."""
    store = engine.loop.run(engine.open([FLIGHTS, REJECTS]))
    service = Service(engine, store, FLIGHTS)
    versions = [
        _flight("late", number=2),
        _flight("moved"),
        _flight("gone"),
        _flight("plain"),
        _flight("late", number=1),
        _flight("moved", gate="y"),
        _flight("gone", cancelled=True),
    ]
    service.put(FLIGHTS, [(T0_US + number, f"k{number}", each) for number, each in enumerate(versions)])
    service.settle(T0_US + SECOND_US)
    yield service
    engine.loop.run(store.close())


@pytest.fixture
def client(flights: Service) -> Client:
    """Give a client of that service."""
    return flights.client()


def _ids(client: Client, headers: dict[str, str] | None = None, **asked: str) -> list[str]:
    answer = client.get(
        "/v1/state", params={key.replace("__", "."): text for key, text in asked.items()}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["records"]]


def test_filters_apply_to_the_latest_version_and_grants_to_all(flights: Service) -> None:
    """What has left a filter is not in the state; what the caller cannot read supersedes nothing."""
    client = flights.client()
    assert _ids(client) == ["late", "plain", "moved"]
    assert _ids(client, gate="x") == ["late", "plain"]
    assert _ids(client, tombstones="include") == ["late", "plain", "moved", "gone"]
    flights.principals["x"] = principal("x", gate="x")
    for _ in range(2):  # the second answer may be a cached one
        assert _ids(client, {"Authorization": "x"}) == ["late", "moved", "plain"]
        assert _ids(client) == ["late", "plain", "moved"]


def test_a_walk_has_the_headers_and_formats_of_the_feed(client: Client) -> None:
    """The first page begins a window; the further ones never change, and have an entity tag."""
    first = client.get("/v1/state", params={"limit": "1", "fields": "id"})
    page = first.json()
    assert first.headers["link"].startswith("</v1/state?limit=1&fields=id&cursor=")
    assert (page["records"], page["poll_after"]) == ([{"id": "late"}], 0)
    assert "etag" not in first.headers
    asked = {"cursor": page["next_cursor"], "fields": "id", "format": "csv"}
    rest = client.get("/v1/state", params=asked)
    assert rest.text == "id\r\nplain\r\nmoved\r\n"
    assert rest.headers["sluice-resume-cursor"] == page["resume_cursor"]
    assert client.get("/v1/state", params=asked, headers={"If-None-Match": rest.headers["etag"]}).status_code == 304
    assert client.head("/v1/state").status_code == 200
    lines = client.get("/v1/state", params={"limit": "all", "end": "true", "fields": "id"}).text.splitlines()
    assert [msgspec.json.decode(line).get("id") for line in lines] == ["late", "plain", "moved", None]
    explanation = client.get("/v1/state", params={"explain": "true"}).json()
    assert explanation["window"]["since"] == to_text(-(-(T0_US - DAY_US) // HOUR_US) * HOUR_US)


def test_cursors_of_the_feed_and_of_a_state_are_not_mixed_up(client: Client) -> None:
    """Each is refused by the other, and a state's next_cursor is no moment."""
    state = client.get("/v1/state", params={"limit": "1"}).json()
    feed = client.get("/v1/records", params={"limit": "1"}).json()
    for path, asked in (
        ("/v1/state", {"cursor": feed["next_cursor"]}),
        ("/v1/state", {"cursor": feed["resume_cursor"]}),
        ("/v1/state", {"as_of": feed["next_cursor"]}),
        ("/v1/state", {"as_of": state["next_cursor"]}),
        ("/v1/state", {"as_of": feed["resume_cursor"], "gate": "x"}),
        ("/v1/records", {"cursor": state["next_cursor"]}),
    ):
        assert problem_of(client.get(path, params=asked))["code"] == "invalid_cursor", asked
    assert client.get("/v1/records", params={"cursor": state["resume_cursor"]}).json()["records"] == []


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"as_of": "2033-01-01T00:00:00Z"}, "later than the settled horizon"),
        ({"as_of": "-P2D"}, "earlier than the records that are kept"),
        ({"as_of": "yesterday"}, "RFC 3339"),
        ({"tombstones": "only"}, "exclude or include"),
        ({"limit": "all", "format": "json"}, "ndjson"),
        *(({name: "1"}, "no such parameter") for name in ("since", "until", "order", "wait", "freshness", "count")),
        ({"heartbeat": "only"}, "no such parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, asked: dict[str, str], word: str) -> None:
    """By the parameter's name, with the reason."""
    problem = problem_of(client.get("/v1/state", params=asked))
    assert (problem["code"], problem["status"]) == ("invalid_parameter", 400)
    assert word in msgspec.json.encode(problem["errors"]).decode()


def test_a_moment_is_settled(flights: Service) -> None:
    """A cursor may lie beyond: another instance knows more. Until then, rows may appear before it."""
    client, ahead_us = flights.client(), flights.store.clock.now_us() + SECOND_US
    cursors = [
        client.get("/v1/records", params={"since": since}).json()["resume_cursor"]
        for since in (to_text(ahead_us), "2099-01-01T00:00:00Z")
    ]
    early, never = (problem_of(client.get("/v1/state", params={"as_of": cursor})) for cursor in cursors)
    assert (early["status"], early["retry_after_s"], never["code"]) == (503, 1, "invalid_parameter")
    flights.put(FLIGHTS, [(ahead_us - 1, "k7", _flight("plain"))])
    assert _ids(client, as_of=cursors[0])[-1] == "plain"


def test_equal_requests_have_one_moment(flights: Service) -> None:
    """For a second, as those of the feed; where a state is a query of everything, they have whole minutes."""
    runner = Watched(flights.store.runner)
    runner.profile = msgspec.structs.replace(runner.profile, materializes=True, open_ttl_s=0.0)
    runner.learn_horizon = learn = AsyncMock(return_value=0)
    minutely = Service(flights.engine, flights.store, FLIGHTS, runner=runner).client()
    client, untils = flights.client(), []
    flights.settle(T0_US + 60 * SECOND_US)
    for _ in range(2):
        pages = [each.get("/v1/state").json() for each in (client, minutely)]
        assert [page["poll_after"] for page in pages] == [1, 60]
        untils.append([page["window"]["until"] for page in pages])
        flights.settle(flights.store.clock.now_us() + SECOND_US // 2)
    assert untils[0] == untils[1]
    assert untils[0][1] == "2023-11-14T22:14:00Z"
    cursor = minutely.get("/v1/state", params={"limit": "1"}).json()["next_cursor"]
    assert minutely.get("/v1/state", params={"cursor": cursor}).status_code == 200
    assert learn.await_count == 3  # for the first pages only


def test_a_state_is_no_position_of_a_reader(client: Client) -> None:
    """What is behind its moment has not been read; its export is named for what it is."""
    for limit in ("1000", "all"):
        answer = client.get("/v1/state", params={"limit": limit}, headers={"Sluice-Reader": "copier"})
    assert 'filename="records-state-' in answer.headers["content-disposition"]
    assert client.get("/v1/readers").json()["readers"] == []


def test_a_moment_is_given_once(client: Client) -> None:
    """The cursor of the page before has it."""
    cursor = client.get("/v1/state", params={"limit": "1"}).json()["next_cursor"]
    problem = problem_of(client.get("/v1/state", params={"cursor": cursor, "as_of": "-PT1S"}))
    assert [error["name"] for error in problem["errors"]] == ["as_of"]


@pytest.mark.parametrize("record_type", [Flight, Plain])
def test_what_has_expired_does_not_count(engine: Engine, record_type: type[Flight | Plain]) -> None:
    """Even while the store has it: an id leaves the state, and a lower sequence takes the place of a higher one."""
    table = records_table(record_type)
    store = engine.loop.run(engine.open([table, REJECTS]))
    service = Service(engine, store, table)  # which keeps rows for a day
    old_us = T0_US - 2 * DAY_US
    of = [("k1", "gone", 1), ("k2", "back", 9), ("k3", "back", 1)]
    rows = [(key, record_type(id=name, number=number, gate="x", airline="p")) for key, name, number in of]
    service.put(table, [(T0_US if key == "k3" else old_us, key, record) for key, record in rows])
    records = service.client().get("/v1/state").json()["records"]
    assert [(record["id"], record["number"]) for record in records] == [("back", 1)]
    engine.loop.run(store.close())


class _Sparing(Watched):
    """A runner that reads no state."""

    failure: QueryError = QueryTooExpensiveError(1, 2)

    async def rows(self, query: Query) -> Answer:
        if isinstance(query, State):
            raise self.failure
        return await super().rows(query)


def test_a_state_that_costs_too_much_names_the_cure(flights: Service) -> None:
    """There is no shorter window of it; a mirror has it for nothing."""
    runner = _Sparing(flights.store.runner)
    runner.profile = msgspec.structs.replace(runner.profile, materializes=True)
    client = Service(flights.engine, flights.store, FLIGHTS, runner=runner).client()
    problem = problem_of(client.get("/v1/state"))
    assert (problem["status"], problem["code"], problem["limit_bytes"]) == (422, "query_too_expensive", 1)
    runner.failure = QueryTimeoutError(300)
    late = problem_of(client.get("/v1/state"))
    assert (late["status"], late["timeout_s"]) == (504, 300)
    assert all("mirror" in each["detail"] for each in (problem, late))


def test_records_without_an_id_have_no_state(engine: Engine) -> None:
    """There is nothing that a later record could replace."""
    table = records_table(Nameless)
    store = engine.loop.run(engine.open([table, REJECTS]))
    assert Service(engine, store, table).client().get("/v1/state").status_code == 404
    engine.loop.run(store.close())
