"""Where a reader stands, and the cursors that take it on."""

import pytest

from app.http.problems import ProblemError
from app.query.cursor import Cursor, decode_cursor, encode_cursor
from app.query.params.filters import fingerprint, parse_filters
from app.query.params.page import Now, PageRequest, Window
from app.query.scan import Scan, start_scan
from app.runtime.instants import DAY_US, HOUR_US
from app.stores.query import Position
from tests.contract.shelf import FIELDS
from tests.contract.stores import T0_US

NOW = Now(T0_US + 30, T0_US, T0_US + 40)
BY_ID = parse_filters(FIELDS, [("id", "x")])


def start(request: PageRequest, now: Now = NOW) -> Scan:
    """Start a scan of at most a day."""
    return start_scan(request, "records", now, max_window_us=DAY_US)


@pytest.mark.parametrize(
    ("until_us", "latest", "end_us"),
    [
        (None, False, T0_US),
        (None, True, T0_US + 40),
        (T0_US - 5, False, T0_US - 5),
        (T0_US + 5, False, T0_US),
        (T0_US + 5, True, T0_US + 5),
        (T0_US + 50, True, T0_US + 40),
    ],
)
def test_a_window_ends_where_the_request_may_look(until_us: int | None, end_us: int, *, latest: bool) -> None:
    """At what is settled, or at the latest row there can be."""
    scan = start(PageRequest(since_us=T0_US - HOUR_US, until_us=until_us, latest=latest))
    assert scan.window == Window(T0_US - HOUR_US, end_us)


@pytest.mark.parametrize(
    ("is_fixed", "until_us", "expected"),
    [
        (True, T0_US, True),
        (True, T0_US + 1, False),
        (False, T0_US - 1, False),
        (True, None, False),
    ],
)
def test_only_a_named_window_that_is_settled_is_fixed(until_us: int | None, *, is_fixed: bool, expected: bool) -> None:
    """Relative times mean another window a moment later."""
    request = PageRequest(since_us=T0_US - HOUR_US, until_us=until_us, is_fixed=is_fixed)
    assert start(request).is_fixed is expected


def test_a_next_cursor_goes_on_in_its_own_window() -> None:
    """However much has settled since; it is fixed as soon as that window is settled."""
    scan = start(PageRequest(since_us=T0_US - HOUR_US, latest=True, conditions=BY_ID))
    text = scan.next_cursor(Position(T0_US - 7, "k"), NOW.horizon_us)
    again = start(PageRequest(since_us=0, cursor=text, conditions=BY_ID))
    assert (again.window, again.after, again.is_fixed) == (scan.window, Position(T0_US - 7, "k"), False)
    later = Now(T0_US + DAY_US, T0_US + DAY_US, T0_US + DAY_US)
    assert start(PageRequest(since_us=0, cursor=text, conditions=BY_ID), later).is_fixed
    assert again.fingerprint == fingerprint(BY_ID)
    with pytest.raises(ProblemError, match="other filters"):
        start(PageRequest(since_us=0, cursor=text))


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
    scan = start(PageRequest(since_us=T0_US - HOUR_US, latest=True, descending=descending))
    cursor = decode_cursor(scan.resume_cursor(stopped_at, NOW.horizon_us), table="records")
    assert cursor == Cursor(table="records", descending=False, since_us=since_us, until_us=None, after=after)


def test_whoever_follows_is_never_taken_back() -> None:
    """Not by an instance whose clock is behind: what a resume cursor was given after was settled."""
    place = Position(T0_US + 9, "k")
    text = encode_cursor(Cursor(table="records", descending=False, since_us=T0_US + 9, until_us=None, after=place))
    scan = start(PageRequest(since_us=0, cursor=text))
    assert scan.is_resumed
    assert scan.window == Window(T0_US + 9, T0_US + 9)
    assert scan.resume_cursor(None, NOW.horizon_us) == text


@pytest.mark.parametrize(("descending", "ahead"), [(False, (T0_US - 7, T0_US)), (True, (T0_US - HOUR_US, T0_US - 6))])
def test_what_lies_ahead_holds_the_last_instant_still(ahead: tuple[int, int], *, descending: bool) -> None:
    """Other rows may have the same stamp."""
    scan = start(PageRequest(since_us=T0_US - HOUR_US, descending=descending))
    assert scan.remaining == scan.window
    text = scan.next_cursor(Position(T0_US - 7, "k"), NOW.horizon_us)
    assert start(PageRequest(since_us=0, cursor=text)).remaining == Window(*ahead)
