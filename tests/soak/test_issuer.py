"""Keys are published ahead of their use, and withdrawn when no token of theirs is good any more."""

import time

import httpx
import pytest
from google.auth import jwt

from sluice.testing.process import served_keys
from tests.soak.issuer import AHEAD_S, MAX_AGE_S, RotatingIssuer


def test_tokens_are_signed_by_a_key_that_was_published_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over four rotations each token's key is in the set, and was before it signed."""
    issuer = RotatingIssuer(every_s=AHEAD_S, lifetime_s=60)
    now_s = time.monotonic()
    published: set[str] = set()
    signers = []
    for step in range(60):
        monkeypatch.setattr("tests.soak.issuer.time.monotonic", lambda moment=now_s + 5 * step: moment)
        key_id = jwt.decode_header(issuer.token())["kid"]
        assert key_id in issuer.certs()
        assert step == 0 or key_id in published
        published |= issuer.certs().keys()
        signers.append(key_id)
    assert len(set(signers)) == 4
    assert issuer.rotations == 3


def test_the_key_set_is_served_for_a_minute() -> None:
    """As Google's is, by its Cache-Control."""
    issuer = RotatingIssuer(every_s=AHEAD_S, lifetime_s=60)
    with served_keys(issuer.certs, max_age_s=MAX_AGE_S) as url:
        answer = httpx.get(url)
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.json() == issuer.certs()
