"""What reads cost, by a meter in front of BigQuery's REST endpoint: what the window holds costs no query."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import pytest

from app.query.answer.arrow import rows_of_arrow
from app.runtime.instants import HOUR_US, SECOND_US, TimeRange
from app.schema.columns import Kind
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.query import Condition, Count, Metric, Rows, Statistics
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.application import application, query_application
from tests.contract.bigquery import BigQueryEngine
from tests.contract.service import Client
from tests.contract.shelf import LOOKBACK_US, Put, Shelf
from tests.contract.stores import RECORDS, T0_US
from tests.support.billing.bill import LEAST_BYTES
from tests.support.http_server import Handler, serving_http
from tests.support.local_bigquery import Double


class Meter:
    """Counts the queries that pass, and the bytes billed for them: 10 MB at least for each."""

    def __init__(self) -> None:
        self.queries = self.billed = 0

    def read(self) -> tuple[int, int]:
        """Return both, and begin at 0 again."""
        found = self.queries, self.billed
        self.queries = self.billed = 0
        return found


@contextmanager
def metered(rest_url: str) -> Iterator[tuple[str, Meter]]:
    """Stand before a REST endpoint; the value is the URL to ask instead, and the meter."""
    meter = Meter()

    class Passing(Handler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def do_DELETE(self) -> None:  # noqa: N802 - http.server's
            self._pass_on()

        def _pass_on(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            media_type = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
            request = Request(rest_url + self.path, sent, media_type, method=self.command)  # noqa: S310 - local
            try:
                with urlopen(request) as answer:  # noqa: S310 - likewise
                    status, body = answer.status, answer.read()
            except HTTPError as error:
                status, body = error.code, error.read()
            if self.command == "POST" and self.path.partition("?")[0].endswith(("/queries", "/jobs")):
                meter.queries += 1
                said = json.loads(body).get("totalBytesProcessed") or 0
                meter.billed += max(int(said), LEAST_BYTES)
            self.reply(body, status=status)

    with serving_http(Passing) as url:
        yield url, meter


class Stage(NamedTuple):
    """A metered store of thirty rows, a second apart, and what reads it through a window."""

    shelf: Shelf
    reader: QueryRunner
    meter: Meter


@pytest.fixture
def stage(local_bigquery: Double) -> Iterator[Stage]:
    """Give a stage whose rows are settled."""
    with metered(local_bigquery.place.rest_url) as (url, meter):
        engine = BigQueryEngine(Double(msgspec.structs.replace(local_bigquery.place, rest_url=url)))
        store = engine.loop.run(engine.open([RECORDS]))
        shelf = Shelf(engine, store)
        shelf.put(Put(T0_US + number * SECOND_US, f"k{number}", f"id{number % 3}") for number in range(30))
        shelf.clock.advance_to(T0_US + HOUR_US // 2)
        reader = engine.loop.run(_reader(store._backend))
        meter.read()
        yield Stage(shelf, reader, meter)
        shelf.run(store.close())
    engine.loop.close()


def test_what_the_window_holds_costs_no_query(stage: Stage) -> None:
    """A page pays for one query; later pages, filters, counts, facets and exports of the same time pay for none."""
    shelf, reader, meter = stage
    feed, window = shelf.make_feed(reader), TimeRange(T0_US, T0_US + 60 * SECOND_US)
    selection: dict[str, Any] = {"table": "records", "within": window, "lookback_us": LOOKBACK_US}
    first = shelf.page(window=window, feed=feed, limit=10)
    assert (len(first.rows), *meter.read()) == (10, 1, LEAST_BYTES)
    assert len(shelf.page(window=window, feed=feed, limit=100).rows) == 30
    assert len(shelf.page(window=window, feed=feed, limit=100, filters=[("id", "id1")]).rows) == 10
    only = (Condition("id", (), "eq", Kind.STRING, ("id1",)),)
    assert shelf.run(reader.rows(Count(**selection, conditions=only))).rows == [{"records": 10}]
    facet = Statistics(
        **selection, by="id", metrics=(Metric("count", "count"),), first_us=T0_US, bucket_us=HOUR_US, max_groups=9
    )
    groups = {row["group_key"]: row["records"] for row in shelf.run(reader.rows(facet)).rows}
    assert groups == dict.fromkeys(("id0", "id1", "id2"), 10)
    assert shelf.run(_exported(reader, Rows(**selection, columns=("id", "delivery_key")))) == 30
    assert meter.read() == (0, 0)


def test_a_dashboard_of_statistics_pays_once_for_each_bucket(stage: Stage) -> None:
    """Of looks every five seconds, only the first one after a bucket is over asks BigQuery."""
    shelf, reader, meter = stage
    client = Client(shelf.engine, application(query_application(reader, shelf.clock, Settings()).routes))
    assert isinstance(shelf.clock, FakeClock)
    paid = []
    for look in range(25):
        answer = client.get("/v1/records/stats?bucket=PT1M").json()
        assert sum(answer["series"][0]["values"]["count"]) == 30, look
        paid.append(meter.read()[0])
        shelf.run(shelf.clock.advance(5))
    assert [number for number, queries in enumerate(paid) if queries] == [0, 12, 24]
    assert max(paid) <= 2  # the watermarks, and what has settled since the last look


async def _reader(backend: Backend) -> QueryRunner:
    return backend.reader(backend.runner, Counter())


async def _exported(runner: QueryRunner, query: Rows) -> int:
    return sum([len(rows) async for rows in rows_of_arrow(RECORDS.columns, runner.arrow(query))])
