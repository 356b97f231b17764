import pytest
from google.auth import jwt

from sluice.local.issuer import REUSE_MARGIN_S, TOKEN_LIFETIME_S, Issuer

PRINCIPAL = "pusher@sluice-local.iam.gserviceaccount.com"
ADDRESS = "http://127.0.0.1:8086"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """An issuer with a key of its own; making one takes a while."""
    return Issuer(ADDRESS)


def test_a_token_has_google_s_claims_and_verifies_with_the_served_key(issuer: Issuer) -> None:
    """google-auth accepts the signature with the key set, and every claim is where Google puts it."""
    token = issuer.token("sluice", PRINCIPAL)
    claims = jwt.decode(token, certs=issuer.certs(), audience="sluice")
    assert set(claims) == {"aud", "azp", "email", "email_verified", "exp", "iat", "iss", "sub"}
    assert (claims["iss"], claims["email"], claims["email_verified"]) == (ADDRESS, PRINCIPAL, True)
    assert claims["exp"] - claims["iat"] == TOKEN_LIFETIME_S
    assert claims["sub"] == claims["azp"]
    assert len(claims["sub"]) == 21
    assert claims["sub"].isdigit()
    header = jwt.decode_header(token)
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    assert header["kid"] in issuer.certs()


def test_a_token_is_reused_until_it_nears_its_end() -> None:
    """The same token serves many pushes; a new one is minted before the old one expires."""
    now_s = 1_700_000_000.0
    issuer = Issuer(ADDRESS, now_s=lambda: now_s)
    first = issuer.token("sluice", PRINCIPAL)
    now_s += TOKEN_LIFETIME_S - REUSE_MARGIN_S - 1
    assert issuer.token("sluice", PRINCIPAL) == first
    assert issuer.token("other", PRINCIPAL) != first
    now_s += 1
    assert issuer.token("sluice", PRINCIPAL) != first
