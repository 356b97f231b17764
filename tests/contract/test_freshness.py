"""`freshness=latest` over every store: younger rows too, and nothing is missed for it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.query.read.page import Page
from app.query.request.cursor import decode_cursor
from app.query.request.scan import Now
from app.runtime.instants import SECOND_US
from app.runtime.time_range import TimeRange
from tests.contract.service import Service, default_record
from tests.contract.shelf import Put, Shelf, envelope, in_window, places
from tests.contract.stores import RECORDS, T0_US, law
from tests.encoding import encoded

_OFFSETS = st.integers(0, 9)
_SLOT_US = 10 * SECOND_US


@pytest.mark.above_the_stores
def test_a_latest_page_shows_what_is_not_settled_yet(service: Service) -> None:
    """Up to what the clocks of other instances may have stamped; the settled page does not have it."""
    young_us = service.store.clock.now_us() + SECOND_US
    row = encoded(service.store.appender(RECORDS), default_record("young"), envelope("young"))
    service.engine.loop.run(service.store.put(RECORDS, [(young_us, row)]))
    client = service.client()
    found = {
        freshness: [each["id"] for each in client.get("/v1/records", params={"freshness": freshness}).json()["records"]]
        for freshness in ("settled", "latest")
    }
    assert found == {"settled": ["id0", "id1", "id2"], "latest": ["id0", "id1", "id2", "young"]}
    newest = client.get("/v1/records?freshness=latest&order=desc&limit=1")
    assert [each["id"] for each in newest.json()["records"]] == ["young"]
    assert newest.headers["sluice-cache"] == "bypass"
    assert newest.headers["cache-control"] == "private, no-cache"
    assert "etag" not in newest.headers


def _now(horizon_us: int) -> Now:
    return Now(horizon_us + _SLOT_US, horizon_us, horizon_us + 8 * _SLOT_US)


@pytest.mark.above_the_stores
def test_a_resume_cursor_never_passes_what_is_settled(shelf: Shelf) -> None:
    """However far a latest page reached, in either order, with whatever limit."""

    @law(shelf.engine)
    @given(
        rows=st.lists(st.tuples(_OFFSETS, st.sampled_from("abcdef")), max_size=8),
        horizon=_OFFSETS,
        limit=st.integers(1, 5),
        descending=st.booleans(),
    )
    def holds(rows: list[tuple[int, str]], horizon: int, limit: int, *, descending: bool) -> None:
        shelf.clear()
        shelf.put(Put(T0_US + offset * _SLOT_US, key) for offset, key in rows)
        now = _now(T0_US + horizon * _SLOT_US + 1)
        window = TimeRange(T0_US, T0_US + 20 * _SLOT_US)
        page = shelf.page(window=window, now=now, latest=True, limit=limit, descending=descending)
        for each in shelf.scan(page, limit, now=now, latest=True):
            cursor = decode_cursor(each.resume_cursor, table="records")
            assert cursor.since_us <= now.horizon_us
            assert cursor.until_us is None
            assert all(put_us < now.latest_us for put_us, _ in places(each))

    holds()


_ARRIVALS = st.lists(st.tuples(_OFFSETS, st.sampled_from("abcdefgh")), max_size=4)


class _Follower:
    """Reads from T0_US on, from whichever cursor it is told to, while time passes and rows arrive."""

    def __init__(self, shelf: Shelf, limit: int) -> None:
        self._shelf, self._limit, self.horizon_us = shelf, limit, T0_US + 1
        self._page: Page | None = None
        shelf.clear()

    def arrive(self, rows: list[tuple[int, str]]) -> None:
        """Store rows: late, but never before the horizon, and so between rows that were shown already."""
        self._shelf.put(Put(max(T0_US + offset * _SLOT_US, self.horizon_us), key) for offset, key in rows)

    def read(self, *, latest: bool = False, by_next: bool = False) -> list[tuple[int, str]]:
        """Return the rows of the next page, by `next_cursor` if that is wanted and there is one."""
        page, now = self._page, _now(self.horizon_us)
        if page is None:
            window = TimeRange(T0_US, T0_US + 100 * _SLOT_US)
            self._page = self._shelf.page(window=window, now=now, latest=latest, limit=self._limit)
        else:
            cursor = (page.next_cursor if by_next else None) or page.resume_cursor
            self._page = self._shelf.page(cursor=cursor, now=now, latest=latest, limit=self._limit)
        return places(self._page)

    def catch_up(self) -> list[tuple[int, str]]:
        """Return all that is left, once everything is settled."""
        self.horizon_us = T0_US + 60 * _SLOT_US
        found = self.read()
        while self._page is not None and self._page.next_cursor is not None:
            found += self.read()
        return found


@pytest.mark.above_the_stores
@pytest.mark.stamped_out_of_order
def test_whoever_reads_the_latest_reads_what_is_settled_once(shelf: Shelf) -> None:
    """Following the resume cursors of latest and of settled pages, in any order."""

    @law(shelf.engine)
    @given(steps=st.lists(st.tuples(_ARRIVALS, st.booleans()), max_size=6), limit=st.integers(1, 4))
    def holds(steps: list[tuple[list[tuple[int, str]], bool]], limit: int) -> None:
        follower, seen = _Follower(shelf, limit), list[tuple[int, str]]()
        for rows, latest in steps:
            follower.arrive(rows)
            seen += [place for place in follower.read(latest=latest) if place[0] < follower.horizon_us]
            follower.horizon_us += 2 * _SLOT_US
        seen += follower.catch_up()
        assert sorted(seen) == in_window(shelf.puts, T0_US, follower.horizon_us)

    holds()


@pytest.mark.stamped_out_of_order
def test_whoever_walks_among_the_latest_misses_nothing(shelf: Shelf) -> None:
    """By next cursors, too, on whose way more has settled: the resume cursor goes back to what was final when read."""

    @law(shelf.engine, share=2)
    @given(
        steps=st.lists(st.tuples(_ARRIVALS, st.booleans(), st.booleans(), st.integers(0, 4)), max_size=6),
        limit=st.integers(1, 2),
    )
    @example(steps=[([(5, "a"), (6, "b")], True, False, 0), ([(2, "c")], True, True, 4)], limit=1)
    def holds(steps: list[tuple[list[tuple[int, str]], bool, bool, int]], limit: int) -> None:
        follower, seen = _Follower(shelf, limit), set[tuple[int, str]]()
        for rows, latest, by_next, slots in steps:
            follower.arrive(rows)
            follower.horizon_us += slots * _SLOT_US
            seen |= {*follower.read(latest=latest, by_next=by_next)}
        seen |= {*follower.catch_up()}
        assert seen >= {*in_window(shelf.puts, T0_US, follower.horizon_us)}

    holds()
