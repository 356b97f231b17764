from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from google.auth import jwt

from sluice.local.control import control_app
from sluice.local.issuer import REUSE_MARGIN_S, TOKEN_LIFETIME_S, Issuer
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.service import PubsubService

PRINCIPAL = "pusher@sluice-local.iam.gserviceaccount.com"
ADDRESS = "http://127.0.0.1:8086"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """An issuer with a key of its own; making one takes a while."""
    return Issuer(ADDRESS)


@pytest.fixture
async def control(issuer: Issuer, broker: Broker) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the issuer's HTTP side."""
    runner = web.AppRunner(control_app(issuer, PubsubService(broker)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}/") as session:
        yield session
    await runner.cleanup()


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


def test_two_issuers_have_different_keys(issuer: Issuer) -> None:
    """A key is made at start: tokens of another run do not verify."""
    foreign = Issuer(ADDRESS).token("sluice", PRINCIPAL)
    with pytest.raises(ValueError, match="Certificate for key id"):
        jwt.decode(foreign, certs=issuer.certs(), audience="sluice")


async def test_the_key_set_is_served_cacheable(control: aiohttp.ClientSession, issuer: Issuer) -> None:
    """GET /certs is {kid: PEM} with Google's kind of Cache-Control."""
    async with control.get("certs") as response:
        assert response.headers["Cache-Control"] == "public, max-age=3600"
        assert await response.json() == issuer.certs()


async def test_tokens_are_minted_on_request(control: aiohttp.ClientSession, issuer: Issuer) -> None:
    """POST /token gives the pusher's own token, or one with other claims."""
    async with control.post("token", json={}) as response:
        assert (await response.json())["token"] == issuer.token("sluice", PRINCIPAL)
    async with control.post("token", json={"audience": "other", "email": "me@example.com"}) as response:
        claims = jwt.decode((await response.json())["token"], certs=issuer.certs(), audience="other")
    assert claims["email"] == "me@example.com"
