"""Strategies of what no client of ours would send: tokens that are spoilt, and bytes that are nearly HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st

from sluice.testing import tokens
from tests.long.fuzz.case import Asked, Case, Raw, Token

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
def _tokens(draw: st.DrawFn) -> Case:
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


_LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /health/live HTTP/1.0",
        b"POST /pubsub/push HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"get / http/1.1",
        b"GET /%zz HTTP/1.1",
        b"GET http://a/ HTTP/1.1",
        b"CONNECT a:1 HTTP/1.1",
        b"GET / HTTP/9.9",
        b"GET /\xff HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"",
    ]
)
_HEADERS = st.sampled_from(
    [
        b"Host: a",
        b"Host: a",
        b"Host: b",
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: x",
        b"Connection: close",
        b"Expect: 100-continue",
        b" folded: x",
        b"no colon",
        b"X: \x00",
        b"X: \xff",
        b": empty",
        b"X:" + b"y" * 9000,
        b"Upgrade: h2c",
        b"Authorization: Bearer",
        b"Authorization: Basic x",
        b"Authorization: Bearer sluice_" + b"k" * 43,
    ]
)
_REST = st.sampled_from(
    [
        b"",
        b"hello",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhel",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"-1\r\n\r\n",
        b"5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
        b"0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n" * 50,
        b"\x00" * 100,
    ]
)


@st.composite
def _raw(draw: st.DrawFn) -> Case:
    """Draw bytes that are nearly a request, several in a row, or none."""
    if not draw(st.integers(0, 4)):
        return Raw(draw(st.binary(max_size=200)))
    requests = []
    for _ in range(draw(st.integers(1, 3))):
        lines = [draw(_LINES), *draw(st.lists(_HEADERS, max_size=5))]
        requests.append(draw(st.sampled_from([b"\r\n", b"\n", b"\r"])).join(lines) + b"\r\n\r\n" + draw(_REST))
    data = b"".join(requests)
    return Raw(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


TOKENS, RAW = _tokens(), _raw()
