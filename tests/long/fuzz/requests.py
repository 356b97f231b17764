"""Strategies of requests, by area: each draws an Asked."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from hypothesis import strategies as st

from app.query.request.cursor import Cursor, encode_cursor
from app.stores.query import Position
from sluice.testing import tokens
from tests.long.fuzz.bodies import ENCODINGS, GZIPS, PAYLOADS, TYPES, envelopes
from tests.long.fuzz.case import MESSAGE_ID, Asked, Token

_CALLERS = st.sampled_from(["everything", "reader", "writer", "narrow", "push", ""])
_READERS = st.sampled_from(["everything", "reader", "narrow", "narrow"])
_READ_PATHS = st.sampled_from(
    [
        "/v1/records",
        "/v1/records",
        "/v1/rejects",
        "/v1/records/stats",
        "/v1/rejects/stats",
        "/v1/records/id1",
        "/v1/schema",
    ]
)
_TEXT = st.one_of(
    st.text(max_size=12), st.sampled_from(["a,b", "-PT1H", "PT0S", "\x00", "1e9", "999999999999", "all", "*"])
)
_PARAMETERS = "since until limit cursor order fields format wait freshness total bucket by metric end"
_FILTERS = "source source.in source.not id data.n.gte message_id ingest_time data.a.b.in"
_NAMES = st.sampled_from([*_PARAMETERS.split(), *_FILTERS.split()])
_MICROSECONDS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.integers(1_700_000_000_000_000, 1_900_000_000_000_000), st.just(0)
)
_LONG_AGO_US, _SOME_DAY_US = 1_760_000_000_000_000, 1_900_000_000_000_000
_INSIDE = st.builds(Position, st.integers(_LONG_AGO_US, _SOME_DAY_US - 1), st.text(max_size=20))
_POSITIONS = st.none() | st.builds(Position, _MICROSECONDS, st.text(max_size=20))
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/"

_CLAIMS: st.SearchStrategy[Mapping[str, Any]] = st.dictionaries(
    st.sampled_from(["iss", "aud", "email", "email_verified", "iat", "exp", "nbf", "sub"]),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False),
        st.text(max_size=10),
        st.lists(st.sampled_from([tokens.AUDIENCE, "x"]), max_size=2),
        st.sampled_from([tokens.PUSHER, tokens.AUDIENCE, tokens.ISSUER]),
    ),
    max_size=2,
)


@st.composite
def _pushes(draw: st.DrawFn) -> Asked:
    """Draw a wrapped push, of an envelope that is good or nearly so."""
    body, holds_records = draw(envelopes())
    headers = (
        ("Content-Type", draw(st.sampled_from(["application/json", "text/plain", "application/json; charset=x"]))),
    )
    return Asked(
        method="POST", path="/pubsub/push", headers=headers, body=body, caller="push", holds_records=holds_records
    )


@st.composite
def _unwrapped(draw: st.DrawFn) -> Asked:
    """Draw an unwrapped push: the payload as it is, the rest as headers."""
    payload = draw(st.one_of(PAYLOADS, GZIPS))
    metadata = {"x-goog-pubsub-message-id": MESSAGE_ID, "x-goog-pubsub-publish-time": "2026-01-31T12:00:00Z"}
    metadata["x-goog-pubsub-subscription-name"] = "projects/p/subscriptions/s"
    for name in draw(st.lists(st.sampled_from(sorted(metadata)), max_size=2)):
        metadata[name] = draw(st.sampled_from(["", "x" * 300, "yesterday", "\xff", MESSAGE_ID]))
    metadata |= draw(ENCODINGS) | draw(TYPES)
    return Asked(method="POST", path="/pubsub/push", headers=tuple(metadata.items()), body=payload, caller="push")


@st.composite
def _submissions(draw: st.DrawFn) -> Asked:
    """Draw a POST of records."""
    payload, encoding = draw(st.one_of(st.tuples(PAYLOADS, ENCODINGS), st.tuples(GZIPS, ENCODINGS)))
    headers = encoding | draw(TYPES)
    if draw(st.booleans()):
        headers["idempotency-key"] = draw(st.sampled_from(["k", MESSAGE_ID, "", "k" * 300, "\xe9"]))
    return Asked(method="POST", path="/v1/records", headers=tuple(headers.items()), body=payload, caller=draw(_CALLERS))


@st.composite
def _queries(draw: st.DrawFn) -> Asked:
    """Draw a read with parameters that are known, by a caller of some kind."""
    pairs = draw(st.lists(st.tuples(_NAMES, _TEXT), max_size=4))
    path = draw(_READ_PATHS) if draw(st.integers(0, 9)) else "/v1/records/" + quote(draw(_TEXT), safe="")
    headers: tuple[tuple[str, str], ...] = ()
    if draw(st.booleans()):
        name = draw(st.sampled_from(["Accept", "If-None-Match", "Last-Event-ID", "Accept-Encoding", "Range"]))
        headers = (
            (name, draw(st.sampled_from(["*/*", "*", "text/csv", "x", '"a"', "bytes=0-1", "application/json;q=0"]))),
        )
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS"]))
    query = urlencode(pairs, errors="replace")
    return Asked(method=method, path=f"{path}?{query}", headers=headers, caller=draw(_CALLERS))


@st.composite
def _cursors(draw: st.DrawFn) -> Asked:
    """Draw a read with a cursor: made of any values, of another table or other filters, or spoilt."""
    cursor = Cursor(
        table=draw(st.sampled_from(["records", "records", "records", "records_rejected", "", "sqlite_master"])),
        descending=draw(st.booleans()),
        since_us=draw(st.sampled_from([_LONG_AGO_US] * 3) | _MICROSECONDS),
        until_us=draw(st.none() | st.just(_SOME_DAY_US) | _MICROSECONDS),
        after=draw(_INSIDE | _POSITIONS),
        fingerprint=draw(st.just("") | st.just("") | st.text(max_size=10)),
        settled=draw(_POSITIONS),
    )
    text = _spoilt(draw, encode_cursor(cursor))
    more = draw(st.sampled_from([0, 0, 0, 1]))
    pairs = [("cursor", text), *draw(st.lists(st.tuples(_NAMES, _TEXT), min_size=more, max_size=more))]
    path = draw(st.sampled_from(["/v1/records", "/v1/records", "/v1/rejects", "/v1/records/tail"]))
    return Asked(method="GET", path=f"{path}?{urlencode(pairs, errors='replace')}", caller=draw(_READERS))


def _spoilt(draw: st.DrawFn, text: str) -> str:
    match draw(st.sampled_from(["whole", "whole", "whole", "letter", "cut", "more"])):
        case "letter":
            at = draw(st.integers(0, len(text) - 1))
            return text[:at] + draw(st.sampled_from(_LETTERS)) + text[at + 1 :]
        case "cut":
            return text[: draw(st.integers(0, len(text)))]
        case "more":
            return text + draw(st.text(_LETTERS, min_size=1, max_size=5))
    return text


@st.composite
def _tokens(draw: st.DrawFn) -> Asked:
    """Draw a request with a token that has other claims than a good one's, or other letters."""
    token = Token(claims=draw(_CLAIMS))
    match draw(st.sampled_from(["whole", "whole", "flip", "cut", "suffix"])):
        case "flip":
            token = msgspec.structs.replace(token, flip=draw(st.integers(0, 2_000)))
        case "cut":
            token = msgspec.structs.replace(token, cut=draw(st.integers(0, 300)))
        case "suffix":
            token = msgspec.structs.replace(token, suffix=draw(st.sampled_from([".", ".x", "A" * 10_000, " x", ","])))
    if draw(st.booleans()):
        return Asked(method="GET", path="/v1/records?limit=1", token=token)
    headers = (("Content-Type", "application/json"),)
    return Asked(method="POST", path="/pubsub/push", headers=headers, body=b"{}", token=token)


AREAS: Mapping[str, st.SearchStrategy[Asked]] = {
    "pushes": _pushes(),
    "unwrapped": _unwrapped(),
    "submissions": _submissions(),
    "queries": _queries(),
    "cursors": _cursors(),
    "tokens": _tokens(),
}
