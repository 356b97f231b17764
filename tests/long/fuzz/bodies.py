"""Strategies of payloads: what producers send, nearly what they send, and bytes."""

import gzip
import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.long.fuzz.case import MISSING, wrapped

_TIMES = st.sampled_from(
    ["2026-01-31T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+14:00", "2026-01-31", "", 7, None]
)
_TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["", "\x00", "a" * 129, "a/b", "..", "zoë", "\ud7ff", "�"]))
_NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**63, -(2**63) - 1, 1e308, 10**400]),
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=4)),
    max_leaves=20,
)
_ODD_JSON = st.sampled_from(
    [
        b"NaN",
        b"[NaN]",
        b"-",
        b"[",
        b"{}",
        b"[]",
        b"null",
        b"1e999",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b'{"a":1,"a":2}',
        b"[,]",
    ]
    + [b"[" * depth + b"]" * depth for depth in (100, 499, 501, 5_000)]
    + [b"\xff\xfe", b" ", b"\n\n", b"{}\n{}", b"{}{}", b"[{}", b"0" * 5_000, b"1" * 5_000]
)


def json_bytes(value: Any) -> bytes:
    """Encode a value; integers of any size and lone surrogates are no hindrance."""
    try:
        return msgspec.json.encode(value)
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError, ValueError):
        return json.dumps(value).encode()


@st.composite
def _record(draw: st.DrawFn) -> bytes:
    """Draw a record, good or with one member that is not."""
    made: dict[str, Any] = {"id": draw(st.text("abc-/é", min_size=1, max_size=8)), "timestamp": "2026-01-31T12:00:00Z"}
    made["source"] = draw(st.sampled_from(["narrow", "other", None]))
    made["data"] = draw(_JSON)
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["id", "timestamp", "source", "data", "ingest_time", "delivery_key", "unknown"]))
        made[name] = draw(_TIMES if name == "timestamp" else _JSON)
    if draw(st.integers(0, 9)) == 0:
        made.pop(draw(st.sampled_from(sorted(made))))
    return json_bytes(made)


@st.composite
def _cut(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> bytes:
    """Draw bytes and spoil them: cut, doubled, or one byte changed."""
    made = draw(data)
    match draw(st.sampled_from(["whole", "whole", "cut", "twice", "flip", "tail"])):
        case "cut":
            return made[: draw(st.integers(0, len(made)))]
        case "twice":
            return made + made
        case "flip" if made:
            at = draw(st.integers(0, len(made) - 1))
            return made[:at] + bytes([made[at] ^ (1 << draw(st.integers(0, 7)))]) + made[at + 1 :]
        case "tail":
            return made + draw(st.binary(max_size=8))
    return made


RECORDS = st.one_of(_record(), _record(), _JSON.map(json_bytes), _ODD_JSON, st.binary(max_size=30))
PAYLOADS: st.SearchStrategy[bytes] = _cut(
    st.one_of(
        RECORDS,
        st.lists(RECORDS, max_size=6).map(lambda rows: b"[" + b",".join(rows) + b"]"),
        st.lists(RECORDS, max_size=6).map(b"\n".join),
    )
)
"""One record, an array or lines, mostly whole."""

GZIPS: st.SearchStrategy[bytes] = _cut(
    st.one_of(
        PAYLOADS.map(lambda data: gzip.compress(data, mtime=0)),
        st.lists(PAYLOADS, max_size=4).map(lambda parts: b"".join(gzip.compress(part, mtime=0) for part in parts)),
        st.integers(0, 40).map(lambda mib: gzip.compress(b" " * (mib << 20) + b"{}", mtime=0)),
        st.sampled_from([gzip.compress(b"", mtime=0) * 1_001, b"\x1f\x8b", b"\x1f\x8b\x08\x1c", b""]),
    )
)
"""Streams of gzip: whole, of several members, cut, that grow, or none."""

ENCODINGS = st.sampled_from(
    [{}, {"content-encoding": "gzip"}, {"content-encoding": "GZIP"}, {"content-encoding": "br"}]
)
TYPES = st.sampled_from(
    [
        {},
        {"content-type": "application/json"},
        {"content-type": "application/x-ndjson; charset=utf-8"},
        {"content-type": "x"},
    ]
)
ATTRIBUTES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.dictionaries(_TEXTS, _TEXTS, max_size=4),
    st.dictionaries(_TEXTS, _JSON, max_size=3),
    st.sampled_from(
        [{"sluice-delivery-key": "x:1:0"}, {"sluice-heartbeat": "1"}, {"googclient_traceparent": "00-x-y-01"}]
    ),
)


@st.composite
def envelopes(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Draw the body of a push, and whether it is one that is acknowledged only once something of it is kept."""
    payload, encoding = draw(st.one_of(st.tuples(PAYLOADS, ENCODINGS), st.tuples(GZIPS, ENCODINGS)))
    attributes = draw(ATTRIBUTES) | encoding | draw(TYPES)
    plain = all(isinstance(value, str) for value in attributes.values()) and not any(
        name.startswith("sluice-") for name in attributes
    )
    if draw(st.integers(0, 3)):
        return _wrapped_or(payload, attributes, {}), plain and _holds_something(payload, encoding)
    name = draw(st.sampled_from(["data", "messageId", "publishTime", "attributes", "orderingKey", "unknown"]))
    changed = {name: draw(st.one_of(_JSON, st.just(MISSING), st.just("a" * 300)))}
    body = draw(_cut(st.just(_wrapped_or(payload, attributes, changed))))
    return body, False


def _holds_something(payload: bytes, encoding: dict[str, str]) -> bool:
    """Whether there must be a record or a reject of a payload: not of an empty array, whatever is around it."""
    if encoding:
        return bool(payload) and not payload.startswith(b"\x1f\x8b")
    return payload.strip() not in {b"[]", b""} and payload.strip()[:1] != b"["


def _wrapped_or(payload: bytes, attributes: dict[str, Any], changed: dict[str, Any]) -> bytes:
    try:
        return wrapped(payload, attributes, changed)
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError, ValueError):
        return wrapped(payload, {}, {})
