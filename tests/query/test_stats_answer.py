"""How an answer is made of the rows that the store gives."""

from typing import Any

import msgspec

from app.query.read.buckets import BucketReader
from app.query.read.feed import Feed
from app.query.request.scan import Now
from app.query.request.stats import parse_stats_request
from app.query.stats import statistics
from app.stores.query import Query
from app.stores.source import Answer
from sluice.testing.clock import FakeClock
from tests.contract.readings import READINGS, SUBJECT
from tests.contract.stores import T0_US
from tests.support.unwatched import environment_of

NOW = Now(T0_US, T0_US, T0_US)  # 2023-11-14T22:13:20Z


class Scripted:
    """A runner that answers with given rows."""

    partition_us = first_slice_us = 1

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    async def rows(self, _: Query) -> Answer:
        return Answer(self._rows, bytes_processed=7)


async def ask(query: str, *rows: dict[str, Any]) -> Any:
    """Return what is made of `rows`."""
    runner = Scripted(list(rows))
    feed = Feed(runner, READINGS, environment_of(FakeClock()))  # type: ignore[arg-type] # all that is used of one
    asked = parse_stats_request(query, SUBJECT, NOW)
    body, size_bytes = await statistics(BucketReader(feed, lambda: "test"), asked)
    assert size_bytes == 7
    return msgspec.json.decode(body)


async def test_only_a_bucket_that_is_still_filling_is_partial() -> None:
    """Not one that `until` cuts, and not one that ends with the window."""
    for query, partial in [
        ("since=-PT2M&until=-PT1M&bucket=PT1M", False),
        ("since=-PT80S&bucket=PT20S", False),
        ("since=-PT80S&bucket=PT30S", True),
        ("since=-PT80S&until=now&bucket=PT30S", True),
        ("since=-PT80S&until=2023-11-14T22:13:20Z&bucket=PT30S", False),  # the horizon, and nothing later
    ]:
        assert (await ask(query))["partial"] is partial, query


async def test_many_rows_make_the_same_answer_as_few() -> None:
    """Above a thousand rows the document is made in a thread."""
    rows = [
        {"place": place, "group_key": place, "group_count": 50, "bucket": bucket, "records": 99 - place + bucket}
        for place in range(1, 51)
        for bucket in range(30)
    ]
    found = await ask("since=-PT30M&until=-PT20S&bucket=PT1M&by=number", *rows)
    assert len(found["buckets"]) == 30
    assert [series["values"]["count"] for series in found["series"]] == [
        [99 - place + bucket for bucket in range(30)] for place in range(1, 51)
    ]
