"""Statistics that are asked again and again: their settled buckets are read once, and the numbers stay the same."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.query.read.feed import Feed
from app.query.request.filters import parse_filters
from app.query.request.stats import parse_stats_request
from app.query.stats import MOST_ROWS, BucketReader, statistics
from app.runtime.instants import MINUTE_US, SECOND_US
from app.settings.load import Settings
from app.stores.query import Deletion, Statistics
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.application import application, query_application
from tests.contract.readings import READINGS, SUBJECT, Reading, Readings, Row
from tests.contract.service import Client
from tests.contract.stores import T0_US, EmbeddedEngine
from tests.contract.watched import Watched
from tests.long_form import examples
from tests.support.unwatched import environment_of

HOUR_S = 3_600


class Dashboard:
    """Asks a store through one reader, which keeps what is settled; `read` are the ranges of its queries."""

    def __init__(self, readings: Readings) -> None:
        self.readings, self.generation = readings, 0
        self._watched = Watched(readings.store.runner)
        runner: QueryRunner = self._watched
        self.feed = Feed(runner, READINGS, environment_of(readings.clock))
        self.reader = BucketReader(self.feed, lambda: str(self.generation))

    def ask(self, query: str) -> Any:
        """Return the statistics of a query string; they are those that one query gives."""
        request = parse_stats_request(query, SUBJECT, self.readings.now())
        twin, _ = self.readings.engine.loop.run(statistics(BucketReader(self.feed, lambda: ""), request))
        self._watched.queries.clear()
        body, _ = self.readings.engine.loop.run(statistics(self.reader, request))
        assert msgspec.json.decode(body) == msgspec.json.decode(twin), query
        return msgspec.json.decode(body)

    @property
    def read_s(self) -> list[tuple[int, int]]:
        """The ranges of the queries of the last question, in seconds after T0_US."""
        found = []
        for query in self._watched.queries:
            assert isinstance(query, Statistics)
            found.append(((query.within.from_us - T0_US) // SECOND_US, (query.within.to_us - T0_US) // SECOND_US))
        return found


@pytest.fixture(scope="module")
def readings(engine: EmbeddedEngine) -> Iterator[Readings]:
    """Give a store of readings."""
    store = engine.loop.run(engine.open([READINGS]))
    yield Readings(engine, store)
    engine.loop.run(store.close())


@pytest.fixture
def dashboard(readings: Readings) -> Dashboard:
    """Give a dashboard over an empty store."""
    readings.clear()
    return Dashboard(readings)


def put(readings: Readings, *at_s: int, number: int = 1) -> None:
    """Store a reading at each of these seconds after T0_US, and let them settle."""
    start = readings.clock.now_us()
    readings.put(
        [Row(T0_US + each * SECOND_US, f"{start}-{index}", Reading(number=number)) for index, each in enumerate(at_s)]
    )


def test_an_erasure_and_an_hour_forget_everything(dashboard: Dashboard) -> None:
    """A record that was erased is not counted any more, and one that has expired for an hour at most."""
    question, clock = "since=-PT10M&bucket=PT1M", dashboard.readings.clock
    put(dashboard.readings, 0, 599)
    dashboard.ask(question)
    dashboard.ask(question)
    assert dashboard.read_s == [(580, 599)]
    dashboard.generation = 1
    dashboard.ask(question)
    assert dashboard.read_s == [(-20, 599)]
    assert isinstance(clock, FakeClock)
    dashboard.readings.engine.loop.run(clock.advance(HOUR_S))
    dashboard.ask("since=-PT70M&until=now&bucket=PT1M")
    assert len(dashboard.read_s) == 1


class _Billed(Watched):
    """A store that does not know of new rows, so that each look is a query."""

    def version(self, table: str) -> int | None:
        return None


def test_where_looks_are_billed_there_is_one_for_each_bucket(dashboard: Dashboard) -> None:
    """A plot shows no more; whoever asks for shorter buckets pays for more looks."""
    engine, clock, runner = dashboard.readings.engine, dashboard.readings.clock, dashboard.readings.store.runner
    assert isinstance(clock, FakeClock)
    routes = query_application(_Billed(runner), clock, Settings(), records=READINGS).routes
    client = Client(engine, application(routes))
    for bucket, lasts_s in (("PT20S", 20), ("PT1H", 60)):
        looks = []
        for pause_s in (0, lasts_s - 1, 2):
            engine.loop.run(clock.advance(pause_s))
            looks.append(client.get("/v1/records/stats", params={"bucket": bucket}).headers["sluice-cache"])
        assert looks == ["miss", "hit", "miss"]


def test_more_groups_than_an_answer_shows_are_read_whole(dashboard: Dashboard) -> None:
    """Which of them are the largest depends on the whole window."""
    for number in range(40):
        put(dashboard.readings, 10, number=number)
    dashboard.readings.settle(T0_US + 120 * SECOND_US)
    question = "since=-PT2M&bucket=PT1M&by=number"
    dashboard.ask(question)
    for number in range(30, 60):
        put(dashboard.readings, 121, number=number)
    dashboard.readings.settle(T0_US + 130 * SECOND_US)
    dashboard.ask(question)
    for number in range(60, 120):
        put(dashboard.readings, 131, number=number)
    dashboard.readings.settle(T0_US + 135 * SECOND_US)
    for _ in range(2):
        dashboard.ask(question)
    assert dashboard.read_s[-1][0] < 20


def test_what_is_kept_is_bounded(dashboard: Dashboard) -> None:
    """The question that was asked longest ago goes first."""
    for at_s in range(0, 900, 10):
        put(dashboard.readings, at_s)
    for metric in ("count", "max:number", "min:number"):
        for number in range(40):
            dashboard.ask(f"since=-PT15M&bucket=PT10S&metric={metric}&number.gte=-{number}")
    assert dashboard.reader._kept.currsize <= MOST_ROWS
    dashboard.ask("since=-PT15M&bucket=PT10S&number.gte=0")
    assert dashboard.read_s[0][0] < 0


_QUERIES = st.builds(
    "&".join,
    st.tuples(
        st.sampled_from(["since=-PT3M", "since=-PT10M", "since=-PT1H", "since=2023-11-14T22:13:37Z"]),
        st.sampled_from(["bucket=PT1M", "bucket=PT17S", "bucket=PT1H", "bucket=auto"]),
        st.sampled_from(["by=number", "by=source", "heartbeat=exclude"]),
        st.sampled_from(["metric=count", "metric=count,sum:number,max:number,p50:number"]),
        st.sampled_from(["number.gte=2", "until=now", "until=-PT1M", "level.isnull=true"]),
    ),
)
_ROWS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3)), max_size=6)  # seconds after the last, and a number
_STEPS = st.tuples(_ROWS, st.integers(0, 200), st.none() | st.none() | st.integers(0, 3), _QUERIES)


@settings(max_examples=examples(120))
@given(steps=st.lists(_STEPS, min_size=1, max_size=6))
def test_the_numbers_are_those_of_one_query(
    readings: Readings, steps: list[tuple[list[tuple[int, int]], int, int | None, str]]
) -> None:
    """Whatever was asked before, however far the horizon moved, and whatever was erased in between."""
    readings.clear()
    dashboard, at_us, count = Dashboard(readings), T0_US + 2 * MINUTE_US, 0
    for numbers, settles_s, erases, query in steps:
        rows = list[Row]()
        for after_s, number in numbers:
            at_us, count = at_us + after_s * SECOND_US + 1, count + 1
            rows.append(Row(at_us, f"k{count}", Reading(number=number)))
        readings.put(rows)
        at_us += settles_s * SECOND_US
        readings.settle(at_us)
        if erases is not None:
            _erase(readings, erases)
            dashboard.generation += 1
        dashboard.ask(query)


def _erase(readings: Readings, number: int) -> None:
    conditions = parse_filters(SUBJECT.fields, [("number", str(number))])
    deletion = Deletion(
        table=READINGS.name, first_us=T0_US - MINUTE_US, last_us=T0_US + HOUR_S * 24 * SECOND_US, conditions=conditions
    )
    readings.engine.loop.run(readings.store.eraser.delete(deletion))
