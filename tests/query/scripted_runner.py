"""A feed over a runner that a test scripts: the queries are what the feed makes of a request."""

from collections.abc import Sequence
from typing import Any

from app.query.read.feed import Budget, Feed
from app.query.request.filters import parse_filters
from app.query.request.scan import Scan
from app.runtime.instants import HOUR_US, MINUTE_US, TimeRange, from_epoch_us
from app.settings.load import Settings
from app.stores.query import Position, Query, Rows
from app.stores.source import Answer, QueryTooExpensiveError, ReadProfile, Row
from sluice.testing.clock import FakeClock
from tests.contract.memory import MemoryUnderTest
from tests.contract.shelf import FIELDS
from tests.contract.stores import RECORDS, T0_US
from tests.contract.watched import Watched
from tests.support.unwatched import environment_of

BY_ID = parse_filters(FIELDS, [("id", "x")])
END_US = T0_US + 6 * HOUR_US


class Scripted(Watched):
    """A runner that gives one answer after the other, then empty ones; an error is raised."""

    def __init__(self, *answers: Sequence[Row] | Answer | QueryTooExpensiveError) -> None:
        super().__init__(MemoryUnderTest([RECORDS], FakeClock(T0_US)).runner)
        self.profile = ReadProfile(first_slice_us=MINUTE_US, first_look_up_us=MINUTE_US)
        self._answers = list(answers)

    async def rows(self, query: Query) -> Answer:
        """Return the next answer."""
        self.queries.append(query)
        answer = self._answers.pop(0) if self._answers else Answer([])
        if isinstance(answer, QueryTooExpensiveError):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(list(answer))

    def horizon_us(self, table: str) -> int:
        """Return a horizon for the records alone."""
        return T0_US + 7 if table == "records" else 0

    @property
    def pages(self) -> list[Rows]:
        """The queries, all of which are for pages."""
        assert all(isinstance(each, Rows) for each in self.queries)
        return [each for each in self.queries if isinstance(each, Rows)]


def feed_over(runner: Scripted) -> Feed:
    """Return a feed of the records."""
    return Feed(runner, RECORDS, environment_of(FakeClock()))


def scan_of(until_us: int = END_US, *, descending: bool = False, after: Position | None = None, **more: Any) -> Scan:
    """Return a scan of a window that begins at T0."""
    return Scan(
        table="records",
        window=TimeRange(T0_US, until_us),
        horizon_us=END_US,
        descending=descending,
        after=after,
        columns=more.pop("columns", RECORDS.columns),
        limit=more.pop("limit", 10),
        **more,
    )


def budget(**changed: Any) -> Budget:
    """Return a budget that is hard to use up."""
    settings = {"page_budget_s": 10, "query_max_bytes_billed": 10**6, "max_page_bytes": 10**6} | changed
    return Budget(environment_of(FakeClock(), Settings().replace(**settings)))


def row(after_us: int, key: str) -> Row:
    """Return a row as a store answers with it, stamped so long after T0."""
    return {"ingest_time": from_epoch_us(T0_US + after_us), "delivery_key": key}


def keys(rows: Sequence[Row]) -> list[str]:
    """Return the delivery keys of rows."""
    return [each["delivery_key"] for each in rows]


def at(after_us: int, key: str = "") -> Position:
    """Return a position so long after T0."""
    return Position(T0_US + after_us, key)
