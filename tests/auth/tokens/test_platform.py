from typing import Any

import msgspec
import pytest

from app.auth.tokens import PLATFORM_MARKER
from app.http.problems import ProblemError
from sluice.testing import tokens
from sluice.testing.tokens import claims, token
from tests.auth.tokens.forge import GOOD_HEADER, NOW, POLICY, bearer, part, refusal, signed, verifier

TRUST = msgspec.structs.replace(POLICY, trust_platform=True)


def marked(marker: str = PLATFORM_MARKER, header: Any = GOOD_HEADER, **changed: Any) -> str:
    """Return a token as Cloud Run hands it on: its signature replaced."""
    return f"{part(header)}.{part(claims(**changed))}.{marker}"


async def test_the_platforms_marker_is_trusted_when_asked() -> None:
    """With trust, claims that Cloud Run has checked are believed: it has taken their signature away."""
    checking = await verifier(TRUST)
    for _ in range(2):
        assert await checking.principal(bearer(marked())) == tokens.PUSHER


async def test_a_real_signature_is_still_verified_with_trust() -> None:
    """Trust adds one way in and opens no other: signed tokens are verified as ever."""
    assert await (await verifier(TRUST)).principal(bearer(token())) == tokens.PUSHER
    assert (await refusal(bearer(signed(key="somebody")), TRUST)).code == "invalid_token"


@pytest.mark.parametrize(
    "made",
    [
        marked(""),
        marked("SIGNATURE_REMOVED"),
        marked(f"{PLATFORM_MARKER}A"),
        f"{marked()}.{PLATFORM_MARKER}",
        f"{part(claims())}.{PLATFORM_MARKER}",
        f"{part(GOOD_HEADER)}.{part(b'[]')}.{PLATFORM_MARKER}",
        f"{part(GOOD_HEADER)}.{part(b'[' * 3_000)}.{PLATFORM_MARKER}",
    ],
)
async def test_only_exactly_the_marker_is_trusted(made: str) -> None:
    """Anything that merely resembles the marker is an invalid signature."""
    assert (await refusal(bearer(made), TRUST)).code == "invalid_token"


_BY_CLAIMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "audience": ("invalid_token", "its `aud` is not this service's audience", {"aud": "another service"}),
    "issuer": ("invalid_token", "its `iss` is not the expected issuer", {"iss": "https://issuer.example"}),
    "expired just beyond the leeway": ("invalid_token", "it has expired", {"exp": NOW - 11}),
    "without expiry": ("invalid_token", "Object missing required field `exp`", {"exp": None}),
    "issued just beyond the leeway": ("invalid_token", "it is not valid yet", {"iat": NOW + 11}),
    "valid later": ("invalid_token", "it is not valid yet", {"nbf": NOW + 60}),
    "stranger": (
        "forbidden",
        "stranger@example.com is not allowed to do this",
        {"email": "stranger@example.com"},
    ),
    "unverified": ("forbidden", "it has no verified e-mail", {"email_verified": False}),
}


@pytest.mark.parametrize(("code", "reason", "changed"), _BY_CLAIMS.values(), ids=[*_BY_CLAIMS])
async def test_the_claims_of_a_marked_token_are_checked(code: str, reason: str, changed: dict[str, Any]) -> None:
    """The platform vouches for the signature only; who may do what is decided here."""
    problem = await refusal(bearer(marked(**changed)), TRUST)
    assert (problem.code, problem.detail.removeprefix("the token is not valid: ")) == (code, reason)


@pytest.mark.parametrize("changed", [{"exp": NOW - 10}, {"iat": NOW + 10}, {"nbf": NOW + 10}])
async def test_the_leeway_includes_its_last_second(changed: dict[str, Any]) -> None:
    """As google-auth has it for signed tokens, so that both kinds live equally long."""
    assert await (await verifier(TRUST)).principal(bearer(marked(**changed))) == tokens.PUSHER


async def test_a_token_the_platform_did_not_look_at_is_refused() -> None:
    """With X-Serverless-Authorization Cloud Run checks that header and passes Authorization on unchecked."""
    checking = await verifier(TRUST)
    await checking.principal(bearer(marked()))  # remembered, which must not help
    for made in (marked(), marked(exp=NOW + 1_800)):
        headers = [*bearer(made), (b"x-serverless-authorization", b"Bearer " + token().encode())]
        with pytest.raises(ProblemError, match="the platform has not checked this token") as refused:
            await checking.principal(headers)
        assert refused.value.code == "invalid_token"
        assert refused.value.detail.startswith("the token is not valid: the request has X-Serverless-Authorization too")
