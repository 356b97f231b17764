from typing import Any

import msgspec
import pytest

from app.auth.tokens import PLATFORM_MARKER
from testing import tokens
from testing.tokens import claims, token
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
        marked(PLATFORM_MARKER.lower()),
        marked(f"{PLATFORM_MARKER}="),
        marked(f"{PLATFORM_MARKER}A"),
        marked(f"A{PLATFORM_MARKER}"),
        f"{marked()}.{PLATFORM_MARKER}",
        f"{part(claims())}.{PLATFORM_MARKER}",
        marked(header={"alg": "none"}).removesuffix(PLATFORM_MARKER),
        f"{part(GOOD_HEADER)}.{part(b'[]')}.{PLATFORM_MARKER}",
        f"{part(GOOD_HEADER)}.{part(b'[' * 3_000)}.{PLATFORM_MARKER}",
    ],
)
async def test_only_exactly_the_marker_is_trusted(made: str) -> None:
    """Anything that merely resembles the marker is an invalid signature."""
    assert (await refusal(bearer(made), TRUST)).code == "invalid_token"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aud": "another service"}, "invalid_token"),
        ({"iss": "https://issuer.example"}, "invalid_token"),
        ({"exp": NOW - 60}, "invalid_token"),
        ({"exp": None}, "invalid_token"),
        ({"exp": "later"}, "invalid_token"),
        ({"iat": NOW + 60}, "invalid_token"),
        ({"nbf": NOW + 60}, "invalid_token"),
        ({"email": "stranger@example.com"}, "forbidden"),
        ({"email_verified": False}, "forbidden"),
        ({"email_verified": None}, "forbidden"),
    ],
)
async def test_the_claims_of_a_marked_token_are_checked(changed: dict[str, Any], code: str) -> None:
    """The platform vouches for the signature only; who may do what is decided here."""
    assert (await refusal(bearer(marked(**changed)), TRUST)).code == code


async def test_a_token_the_platform_did_not_look_at_is_refused() -> None:
    """With X-Serverless-Authorization Cloud Run checks that header and passes Authorization on unchecked."""
    checking = await verifier(TRUST)
    await checking.principal(bearer(marked()))  # remembered, which must not help
    for made in (marked(), marked(exp=NOW + 1_800)):
        headers = [*bearer(made), (b"x-serverless-authorization", b"Bearer " + token().encode())]
        assert (await refusal(headers, TRUST)).code == "invalid_token"
        with pytest.raises(type(await refusal(headers, TRUST))):
            await checking.principal(headers)


async def test_without_trust_the_marker_is_a_bad_signature() -> None:
    """Where the platform does not check tokens, anybody could write the marker."""
    assert (await refusal(bearer(marked()))).code == "invalid_token"
