"""Cursors: every one is found again, and nothing else is taken for one."""

from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.http.problems import ProblemError
from app.query.request.cursor import _MAX_TEXT_LENGTH, Cursor, _checksum, decode_cursor, encode_cursor
from app.runtime.instants import MAX_US, MIN_US
from app.stores.query import Position

DAMAGED = "the cursor is not valid: it does not come from this service, or it is truncated or altered"
ANOTHER_VERSION = "the cursor comes from another version of this service"
OUTSIDE = "the cursor's position is outside its window"
_INSTANTS = st.integers(MIN_US, MAX_US)


@st.composite
def _cursors(draw: st.DrawFn) -> Cursor:
    since_us, at_us, until_us = sorted(draw(st.lists(_INSTANTS, min_size=3, max_size=3)))
    assume(at_us < until_us)
    bounded = draw(st.booleans())
    return Cursor(
        table=draw(st.sampled_from(["records", "records_rejected"])),
        descending=bounded and draw(st.booleans()),
        since_us=since_us,
        until_us=until_us if bounded else None,
        after=draw(st.none() | st.builds(Position, st.just(at_us), st.text(max_size=40))),
        fingerprint=draw(st.sampled_from(["", "f1"])),
        settled=draw(st.none() | st.builds(Position, _INSTANTS, st.text(max_size=40))),
    )


@given(cursor=_cursors())
def test_a_cursor_is_found_again(cursor: Cursor) -> None:
    """Decoding what was encoded gives the same cursor, in letters that need no escaping in a URL."""
    text = encode_cursor(cursor)
    assert decode_cursor(text, table=cursor.table, fingerprint=cursor.fingerprint) == cursor
    assert text.replace("-", "").replace("_", "").isalnum()


def test_a_cursor_of_another_instance_is_read() -> None:
    """Every instance of every release since version 2 writes the same text."""
    text = "_nkgmpgCp3JlY29yZHPCBQmSBaFromYxkgag"
    cursor = Cursor(
        table="records",
        descending=False,
        since_us=5,
        until_us=9,
        after=Position(5, "k"),
        fingerprint="f1",
        settled=Position(6, ""),
    )
    assert encode_cursor(cursor) == text
    assert decode_cursor(text, table="records", fingerprint="f1") == cursor


def _refusal(text: str, *, table: str = "records", fingerprint: str = "") -> str:
    with pytest.raises(ProblemError) as caught:
        decode_cursor(text, table=table, fingerprint=fingerprint)
    assert caught.value.code == "invalid_cursor"
    return str(caught.value.detail)


@given(cursor=_cursors(), data=st.data())
def test_an_altered_cursor_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    """One letter changed, removed or added is noticed."""
    text = encode_cursor(cursor)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_=+/ é\n"))
    altered = data.draw(
        st.sampled_from([text[:at], text[:at] + text[at + 1 :], text[:at] + letter + text[at:], text + letter])
    )
    replaced = text[:at] + letter + text[at + 1 :]
    for candidate in {altered, replaced} - {text}:
        assert _refusal(candidate, table=cursor.table, fingerprint=cursor.fingerprint) == DAMAGED


def _seal(payload: bytes) -> str:
    return urlsafe_b64encode(_checksum(payload) + payload).rstrip(b"=").decode()


def _packed(*fields: object) -> str:
    return _seal(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", DAMAGED),
        ("A" * (_MAX_TEXT_LENGTH + 1), DAMAGED),
        (_seal(b""), ANOTHER_VERSION),
        (_packed(2, "records", False), ANOTHER_VERSION),
        (_packed(2, "records", False, 0, None, None, "", None, "more"), ANOTHER_VERSION),
        (_packed(2, "records", False, 0.5, None, None, "", None), ANOTHER_VERSION),
        (_packed(2, "records", "desc", 0, None, None, "", None), ANOTHER_VERSION),
        (_packed(2, b"\xff", False, 0, None, None, "", None), ANOTHER_VERSION),
        (_seal(b"\x98\x02\xa1\xff\xc2\x00\xc0\xc0\xa0\xc0"), ANOTHER_VERSION),
        (_packed(3, "records", False, 0, None, None, "", None), "the cursor has version 3, expected 2"),
        (_seal(b"\x98\x02\xa7records\xc2\xcc\x00\xc0\xc0\xa0\xc0"), DAMAGED),  # 0 in two bytes: not canonical
        (_packed(2, "records_rejected", False, 0, None, None, "", None), "the cursor belongs to another endpoint"),
        (_packed(2, "records", False, 0, None, None, "f", None), "the cursor belongs to a query with other filters"),
        (_packed(2, "records", False, MIN_US - 1, None, None, "", None), OUTSIDE),
        (_packed(2, "records", False, MAX_US + 1, None, None, "", None), OUTSIDE),
        (_packed(2, "records", False, 0, MAX_US + 1, None, "", None), OUTSIDE),
        (_packed(2, "records", True, MAX_US - 86_400_000_000, MAX_US + 1, None, "", None), OUTSIDE),
        (_packed(2, "records", True, MAX_US - 9, MAX_US + 1, (MAX_US, "k"), "", None), OUTSIDE),
        (_packed(2, "records", False, MAX_US, None, (MAX_US, "k"), "", None), OUTSIDE),
        (_packed(2, "records", False, 2**64 - 1, None, None, "", None), OUTSIDE),
        (_packed(2, "records", False, 5, 4, None, "", None), OUTSIDE),
        (_packed(2, "records", True, 5, None, None, "", None), OUTSIDE),
        (_packed(2, "records", False, 5, 9, (4, "k"), "", None), OUTSIDE),
        (_packed(2, "records", False, 5, 9, (9, "k"), "", None), OUTSIDE),
        (_packed(2, "records", False, 5, None, (MAX_US + 1, "k"), "", None), OUTSIDE),
    ],
)
def test_a_cursor_that_cannot_be_is_refused_by_its_reason(text: str, expected: str) -> None:
    """Each way of being wrong has its own words."""
    assert _refusal(text) == expected
