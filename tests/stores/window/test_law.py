"""The law of the window: it answers as the store behind it does, whatever was loaded, dropped or lost before."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from app.query.answer.arrow import rows_of_arrow
from app.query.request.filters import parse_filters
from app.record import Record
from app.runtime.instants import SECOND_US, TimeRange
from app.schema.columns import Kind
from app.stores.query import Condition, Count, Deletion, Metric, Position, Rows, Statistics
from app.stores.source import QueryRunner, Row
from app.stores.window.loader import TTL_US
from sluice.testing.clock import FakeClock
from tests.contract.shelf import FIELDS, LOOKBACK_US, envelope
from tests.contract.stores import RECORDS, T0_US
from tests.contract.windowed import WindowedUnderTest
from tests.encoding import encoded
from tests.long_form import examples

_NAMES = tuple(column.name for column in RECORDS.columns)
_FILTERS = st.sampled_from([(), (("id", "1s"),), (("source.prefix", "s1"),)])
_KEYS = st.sampled_from([f"k{number}" for number in range(6)])
_BACK_S = st.integers(0, 2_000)
_ROWS = st.tuples(_KEYS, st.sampled_from(["", "s", "s1"]))
_PAGES = st.fixed_dictionaries({"limit": st.integers(1, 9), "descending": st.booleans()})
_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)


class Windowed(RuleBasedStateMachine):
    """A store with a window of a few rows; a second runner reads it without."""

    def __init__(self) -> None:
        super().__init__()
        self.loop, self.clock = asyncio.Runner(), FakeClock(T0_US)
        self.store = WindowedUnderTest([RECORDS], self.clock)
        self.plain: QueryRunner = self.store.rows_in_lists
        self.followed_us = T0_US

    def teardown(self) -> None:
        assert not self.store.loader.tables["records"].is_unfit
        self.loop.run(self.store.close())
        self.loop.close()

    @rule(rows=st.lists(_ROWS, max_size=5), seconds=st.sampled_from([0, 1, 60, 800]))
    def append(self, rows: list[tuple[str, str]], seconds: int) -> None:
        """Store rows at the horizon, some of which are copies, and let time pass."""
        appender, now_us = self.store.appender(RECORDS), self.clock.now_us()
        records = ((key, Record(id=key[-1] + source[:1], timestamp=_INSTANT, source=source)) for key, source in rows)
        stored = [(now_us, encoded(appender, record, envelope(key))) for key, record in records]
        self.loop.run(self.store.put(RECORDS, stored))
        self.clock.advance_to(now_us + seconds * SECOND_US + 1)

    @rule(back_s=_BACK_S, seconds=_BACK_S, filters=_FILTERS, page=_PAGES, key=st.none() | _KEYS)
    def page(
        self, back_s: int, seconds: int, filters: Sequence[tuple[str, str]], page: dict[str, Any], key: str | None
    ) -> None:
        """The rows of a page are those of the store."""
        within = self._range(back_s, seconds)
        after = None if key is None else Position(within.from_us + within.length_us // 3, key)
        self._compare(within, conditions=parse_filters(FIELDS, filters), after=after, **page)

    def _compare(self, within: TimeRange, **asked: Any) -> None:
        query = Rows(table="records", within=within, lookback_us=LOOKBACK_US, columns=_NAMES, **asked)
        found, expected = (self.loop.run(runner.rows(query)).rows for runner in (self.store.runner, self.plain))
        assert found == expected

    @rule()
    def follow(self) -> None:
        """A follower reads what is new, so that in time the keys of a look-back are known."""
        since_us, self.followed_us = self.followed_us, self.clock.now_us()
        self._compare(TimeRange(since_us, self.followed_us), limit=100)

    @rule(back_s=_BACK_S, seconds=_BACK_S, filters=_FILTERS)
    def numbers(self, back_s: int, seconds: int, filters: Sequence[tuple[str, str]]) -> None:
        """So are a count, an export and statistics."""
        selection: dict[str, Any] = {
            "table": "records",
            "within": self._range(back_s, seconds),
            "conditions": parse_filters(FIELDS, filters),
            "lookback_us": LOOKBACK_US,
        }
        statistics = Statistics(
            **selection, by="source", metrics=(Metric("count", "count"),), first_us=0, bucket_us=SECOND_US, max_groups=9
        )
        for query in (Count(**selection), statistics):
            found, expected = (self.loop.run(runner.rows(query)).rows for runner in (self.store.runner, self.plain))
            assert sorted(found, key=_bucket) == sorted(expected, key=_bucket)
        export = Rows(**selection, columns=_NAMES)
        read, stored = (self.loop.run(_exported(runner, export)) for runner in (self.store.runner, self.plain))
        assert read == stored

    @rule(record_id=st.sampled_from(["0", "0s", "1s"]))
    def erase(self, record_id: str) -> None:
        """After an erasure no answer has its rows."""
        matches = (Condition("id", (), "eq", Kind.STRING, (record_id,)),)
        query = Deletion(table="records", first_us=T0_US, last_us=2 * T0_US, conditions=matches)
        self.loop.run(self.store.rows_in_lists.delete(query))
        self.store.rows_in_lists.generation += 1

    @rule()
    def expire(self) -> None:
        """What was loaded is kept for an hour."""
        self.loop.run(self.clock.advance(TTL_US / SECOND_US))

    def _range(self, back_s: int, seconds: int) -> TimeRange:
        now_us = self.clock.now_us()
        since_us = max(now_us - back_s * SECOND_US, T0_US)
        return TimeRange(since_us, min(since_us + seconds * SECOND_US, now_us))


async def _exported(runner: QueryRunner, query: Rows) -> list[Row]:
    return [row async for rows in rows_of_arrow(RECORDS.columns, runner.arrow(query)) for row in rows]


def _bucket(row: Row) -> tuple[int, int]:
    return row.get("place", 0), row.get("bucket", 0)


def test_the_window_answers_as_its_store() -> None:
    """Whatever was loaded, dropped for lack of room, expired or erased before; copies are found across loads."""
    limits = settings(
        max_examples=examples(100), stateful_step_count=30, deadline=None, suppress_health_check=[*HealthCheck]
    )
    run_state_machine_as_test(Windowed, settings=limits)
