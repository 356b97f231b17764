from collections.abc import Callable
from typing import Any

import pytest
from google.auth import jwt

from app.http.problems import ProblemError
from sluice.testing import tokens
from sluice.testing.tokens import token
from tests.auth.tokens.forge import NOW, bearer, signed, verifier


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the token of each signature that is verified."""
    seen: list[str] = []
    decode: Callable[..., Any] = jwt.decode

    def noted(text: str, *arguments: Any, **options: Any) -> Any:
        seen.append(text)
        return decode(text, *arguments, **options)

    monkeypatch.setattr("google.auth.jwt.decode", noted)
    return seen


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"exp": NOW - 8, "iat": NOW - 3_600},
        {"iat": NOW + 8},
        {"nbf": NOW + 8},
        {"nbf": NOW - 60},
        {"extra": {"google": {"compute_engine": {}}}},
    ],
    ids=["good", "expired_within_leeway", "early_within_leeway", "nbf_within_leeway", "nbf", "further_claims"],
)
async def test_a_good_token_names_its_principal(changed: dict[str, Any]) -> None:
    """A token of the issuer, for us, in time, with a verified e-mail on the list is accepted."""
    assert await (await verifier()).principal(bearer(token(**changed))) == tokens.PUSHER


@pytest.mark.parametrize("first", [b"Bearer ", b"bearer ", b"BEARER "])
async def test_a_token_is_as_good_in_every_spelling_of_the_scheme(first: bytes, verifications: list[str]) -> None:
    """Whichever comes first; what is remembered is one entry, in the usual one, which is not verified again."""
    checking, made = await verifier(), token().encode()
    for scheme in (first, b"bearer ", b"Bearer ", b"BEARER "):
        assert await checking.principal([(b"authorization", scheme + made)]) == tokens.PUSHER
    assert list(checking._remembered) == [b"Bearer " + made]
    verified = len(verifications)
    for _ in range(3):
        assert await checking.principal([(b"authorization", b"Bearer " + made)]) == tokens.PUSHER
    assert len(verifications) == verified


async def test_a_refused_token_is_not_remembered(verifications: list[str]) -> None:
    """Only verified tokens take up memory: a refused one is refused anew each time."""
    checking = await verifier()
    for made in [signed(key="somebody"), token(aud="x"), token(email="x@example.com")] * 2:
        with pytest.raises(ProblemError):
            await checking.principal(bearer(made))
    assert len(verifications) == 6
    assert not checking._remembered


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens are used, few are remembered; expired ones make room first."""
    monkeypatch.setattr("app.auth.tokens._MAX_REMEMBERED", 3)
    clock = [float(NOW)]
    checking = await verifier(now=lambda: clock[0])
    for lifetime in (100, 3_000, 3_001):
        await checking.principal(bearer(token(exp=NOW + lifetime)))
    clock[0] = NOW + 200.0
    await checking.principal(bearer(token(exp=NOW + 3_002)))
    assert sorted(expiry - NOW for expiry, *_ in checking._remembered.values()) == [3_000, 3_001, 3_002]
    for lifetime in range(3_003, 3_020):
        await checking.principal(bearer(token(exp=NOW + lifetime)))
        assert len(checking._remembered) <= 3
