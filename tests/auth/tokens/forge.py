"""Tokens as an attacker would make them: any header, any payload, any signature."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from app.auth.key_set import KeySet
from app.auth.tokens import TokenPolicy, TokenVerifier
from app.http.problems import ProblemError
from sluice.testing import tokens
from sluice.testing.clock import FakeClock

Headers = list[tuple[bytes, bytes]]
POLICY = TokenPolicy(issuer=tokens.ISSUER, audience=tokens.AUDIENCE, principals=frozenset({tokens.PUSHER}), leeway_s=10)
NOW = int(time.time())
GOOD_HEADER = {"alg": "RS256", "kid": tokens.KEY_ID, "typ": "JWT"}


def part(value: Any) -> str:
    """Return a segment: `value` as base64url, of its JSON unless it is bytes."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(
    header: Any = GOOD_HEADER,
    payload: Any = None,
    key: str | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
) -> str:
    """Return a token of this header and payload, signed with the issuer's key or the one called `key`."""
    text = f"{part(header)}.{part(tokens.claims() if payload is None else payload)}"
    private = tokens.private_key(key or tokens.KEY_ID)
    return f"{text}.{part(private.sign(text.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256()))}"


def hmac_signed(header: Any, secret: bytes) -> str:
    """Return a token whose signature is an HMAC: the public key taken for a shared secret."""
    text = f"{part(header)}.{part(tokens.claims())}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def bearer(token: str) -> Headers:
    """Return the headers of a request with `token`."""
    return [(b"host", b"localhost"), (b"authorization", b"Bearer " + token.encode())]


async def ready_keys() -> KeySet:
    """Return the key set of the tests' issuer, fetched."""
    keys = KeySet(tokens.fetch_keys, FakeClock())
    await keys.find(tokens.KEY_ID)
    return keys


async def verifier(policy: TokenPolicy = POLICY, now: Callable[[], float] | None = None) -> TokenVerifier:
    """Return a verifier whose key set is at hand."""
    keys = await ready_keys()
    return TokenVerifier(keys, policy, now or (lambda: float(NOW)))


async def refusal(headers: Headers, policy: TokenPolicy = POLICY) -> ProblemError:
    """Return how a verifier refuses a request with `headers`; fail if it does not."""
    checking = await verifier(policy)
    try:
        principal = await checking.principal(headers)
    except ProblemError as problem:
        return problem
    raise AssertionError(f"let in as {principal}")
