"""Strategies of tokens that no client of ours would send."""

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st

from sluice.testing import tokens
from tests.long.fuzz.case import Asked, Token

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


TOKENS = _tokens()
