"""Where a reader stands, and the cursors that take it on."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from app.http.problems import ProblemError
from app.query.request.cursor import Cursor, encode_cursor
from app.query.request.scan import Now, Scan, parse_scan, parse_tail, queryable
from app.runtime.instants import DAY_US, TimeRange
from app.stores.query import Position
from tests.contract.shelf import start
from tests.contract.stores import RECORDS, T0_US

SUBJECT = queryable(RECORDS, 31)
NOW = Now(T0_US + 30, T0_US, T0_US + 40)


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


def test_a_cursor_keeps_to_its_table_and_to_its_canaries() -> None:
    """With others, it would skip rows."""
    scan = parse_scan("heartbeat=include", SUBJECT, NOW)
    for text in (scan.next_cursor(Position(T0_US - 7, "k")), scan.resume_cursor(None)):
        again = parse_scan(f"heartbeat=include&cursor={text}", SUBJECT, NOW)
        assert again.fingerprint == scan.fingerprint
        with pytest.raises(ProblemError, match="other filters"):
            parse_scan(f"cursor={text}", SUBJECT, NOW)
        other = msgspec.structs.replace(SUBJECT, name="other")
        with pytest.raises(ProblemError, match="another endpoint"):
            parse_scan(f"heartbeat=include&cursor={text}", other, NOW)


def test_a_tail_refuses_a_cursor_that_is_not_its_own() -> None:
    """One of other filters, one that ends, and what is none; the header is named where it was the header."""
    scan = day(since_us=T0_US - 9)
    for query, cursor, words in (
        ({"source": "a"}, scan.resume_cursor(None), "the cursor belongs to a query with other filters"),
        ({}, scan.next_cursor(Position(T0_US - 7, "k")), "the cursor is a next_cursor, which ends with its window"),
        ({}, "nonsense", "the cursor is not valid: it does not come from this service"),
    ):
        with pytest.raises(ProblemError, match=f"^{words}"):
            parse_tail(urlencode(query | {"cursor": cursor}), None, SUBJECT, NOW)
        with pytest.raises(ProblemError, match=f"^Last-Event-ID: {words}"):
            parse_tail(urlencode(query), cursor, SUBJECT, NOW)
