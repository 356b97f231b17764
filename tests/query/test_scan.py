"""Where a reader stands, and the cursors that take it on."""

from typing import Any

import msgspec
import pytest

from app.http.problems import ProblemError
from app.query.request.cursor import Cursor, decode_cursor, encode_cursor
from app.query.request.filters import fingerprint, parse_filters
from app.query.request.scan import Now, Scan, parse_scan, queryable
from app.runtime.instants import DAY_US, HOUR_US
from app.runtime.time_range import TimeRange
from app.stores.query import Position
from tests.contract.shelf import FIELDS, start
from tests.contract.stores import RECORDS, T0_US

NOW = Now(T0_US + 30, T0_US, T0_US + 40)
BY_ID = parse_filters(FIELDS, [("id", "x")])


def day(now: Now = NOW, **asked: Any) -> Scan:
    """Start a scan of at most a day."""
    return start(now, max_window_us=DAY_US, **asked)


def test_a_window_is_no_longer_than_it_may_be() -> None:
    """Neither a new one, nor that of a cursor, whatever is settled."""
    since_us = T0_US - 2 * DAY_US
    one = TimeRange(since_us, since_us + DAY_US)
    assert day(since_us=since_us).window == one
    follower = Cursor(table="records", descending=False, since_us=since_us, until_us=None, after=None)
    assert day(cursor=encode_cursor(follower)).window == one
    whole = msgspec.structs.replace(follower, until_us=one.to_us)
    assert day(cursor=encode_cursor(whole)).window == one
    longer = msgspec.structs.replace(follower, until_us=one.to_us + 1)
    with pytest.raises(ProblemError) as caught:
        day(cursor=encode_cursor(longer))
    assert (caught.value.code, caught.value.detail) == (
        "invalid_cursor",
        "the cursor's window is longer than the longest allowed window",
    )


@pytest.mark.parametrize(("latest", "until_us"), [(False, T0_US), (True, T0_US + 40)])
def test_a_resume_cursor_reads_on_as_far_as_the_request_may_look(until_us: int, *, latest: bool) -> None:
    """In a window that ends there, which is another one a moment later."""
    place = Position(T0_US - 7, "k")
    cursor = Cursor(table="records", descending=False, since_us=T0_US - 7, until_us=None, after=place)
    scan = day(cursor=encode_cursor(cursor), latest=latest)
    assert (scan.window, scan.after) == (TimeRange(T0_US - 7, until_us), place)
    assert (scan.is_resumed, scan.is_fixed) == (True, False)


def test_a_cursor_keeps_to_its_table_and_to_its_canaries() -> None:
    """With others, it would skip rows."""
    subject = queryable(RECORDS, 31)
    scan = parse_scan("heartbeat=include", subject, NOW)
    for text in (scan.next_cursor(Position(T0_US - 7, "k")), scan.resume_cursor(None)):
        again = parse_scan(f"heartbeat=include&cursor={text}", subject, NOW)
        assert again.fingerprint == scan.fingerprint
        with pytest.raises(ProblemError, match="other filters"):
            parse_scan(f"cursor={text}", subject, NOW)
        other = msgspec.structs.replace(subject, name="other")
        with pytest.raises(ProblemError, match="another endpoint"):
            parse_scan(f"heartbeat=include&cursor={text}", other, NOW)


@pytest.mark.parametrize(
    ("after", "settled", "horizon_us", "descending", "expected"),
    [
        (None, None, 50, False, 50),
        (None, None, 150, False, 100),
        (None, None, -5, False, 0),
        ((40, "k"), 50, 60, False, 60),
        ((50, ""), 50, 60, False, 60),
        ((50, "k"), 50, 60, False, 50),  # rows before 60 may have appeared behind the reader
        ((40, "k"), 50, 20, False, 50),  # this instance's clock is behind
        (None, 50, 60, False, 60),
        (None, 50, 90, True, 50),
        (None, 100, 90, True, 100),
        ((30, "k"), None, 10, False, 10),
    ],
)
def test_what_an_earlier_page_knew_to_be_settled_stays_so(
    after: tuple[int, str] | None, settled: int | None, horizon_us: int, expected: int, *, descending: bool
) -> None:
    """It moves on with the horizon, unless a page has read beyond it."""
    scan = Scan(
        table="records",
        window=TimeRange(T0_US, T0_US + 100),
        horizon_us=T0_US + horizon_us,
        columns=RECORDS.columns,
        descending=descending,
        after=None if after is None else Position(T0_US + after[0], after[1]),
        settled=None if settled is None else Position(T0_US + settled, ""),
    )
    cursor = decode_cursor(scan.next_cursor(Position(T0_US + 90, "k")), table="records")
    assert cursor == Cursor(
        table="records",
        descending=descending,
        since_us=T0_US,
        until_us=T0_US + 100,
        after=Position(T0_US + 90, "k"),
        settled=Position(T0_US + expected, ""),
    )
    assert day(cursor=encode_cursor(cursor)).settled == cursor.settled


def test_a_next_cursor_goes_on_in_its_own_window() -> None:
    """However much has settled since; it is fixed as soon as that window is settled."""
    scan = day(since_us=T0_US - HOUR_US, latest=True, conditions=BY_ID)
    text = scan.next_cursor(Position(T0_US - 7, "k"))
    again = day(cursor=text, conditions=BY_ID)
    assert (again.window, again.after, again.is_fixed) == (scan.window, Position(T0_US - 7, "k"), False)
    later = Now(T0_US + DAY_US, T0_US + DAY_US, T0_US + DAY_US)
    assert day(later, cursor=text, conditions=BY_ID).is_fixed
    assert again.fingerprint == fingerprint(BY_ID)
    with pytest.raises(ProblemError, match="other filters"):
        day(cursor=text)


@pytest.mark.parametrize(
    ("stopped_at", "descending", "since_us", "after"),
    [
        (Position(T0_US - 7, "k"), False, T0_US - 7, Position(T0_US - 7, "k")),
        (Position(T0_US - 7, ""), False, T0_US - 7, None),
        (None, False, T0_US, None),
        (Position(T0_US + 3, "k"), False, T0_US, None),  # beyond the horizon rows may still come before it
        (Position(T0_US - 7, "k"), True, T0_US, None),
    ],
)
def test_a_resume_cursor_stands_behind_what_is_settled(
    stopped_at: Position | None, since_us: int, after: Position | None, *, descending: bool
) -> None:
    """And behind what was read; newest first, behind the whole window."""
    scan = day(since_us=T0_US - HOUR_US, latest=True, descending=descending)
    cursor = decode_cursor(scan.resume_cursor(stopped_at), table="records")
    assert cursor == Cursor(table="records", descending=False, since_us=since_us, until_us=None, after=after)


def test_whoever_follows_is_never_taken_back() -> None:
    """Not by an instance whose clock is behind: what a resume cursor was given after was settled."""
    place = Position(T0_US + 9, "k")
    text = encode_cursor(Cursor(table="records", descending=False, since_us=T0_US + 9, until_us=None, after=place))
    scan = day(cursor=text)
    assert scan.is_resumed
    assert scan.window == TimeRange(T0_US + 9, T0_US + 9)
    assert scan.resume_cursor(None) == text
