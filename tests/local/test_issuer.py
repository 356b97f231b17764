from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from google.auth import jwt

from sluice.local.control import TokenDefaults, control_app
from sluice.local.flow import PushFlow
from sluice.local.issuer import REUSE_MARGIN_S, TOKEN_LIFETIME_S, Issuer
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.push_request import wrapped
from sluice.local.pusher import Pusher
from sluice.local.pushers import Pushers
from sluice.local.source import LocalSource
from tests.local.conftest import SUBSCRIPTION, TOPIC

PRINCIPAL = "pusher@sluice-local.iam.gserviceaccount.com"
ADDRESS = "http://127.0.0.1:8086"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """An issuer with a key of its own; making one takes a while."""
    return Issuer()


@pytest.fixture
async def control(issuer: Issuer, broker: Broker) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the issuer's HTTP side."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC))
    pusher = Pusher(
        source=LocalSource(broker, SUBSCRIPTION, 10),
        endpoint="http://127.0.0.1:1/pubsub/push",
        build=wrapped(SUBSCRIPTION, with_attempt=True),
        token=lambda: "",
        flow=PushFlow(),
        ack_deadline_s=10,
    )
    runner = web.AppRunner(control_app(issuer, TokenDefaults(ADDRESS, "sluice", PRINCIPAL), Pushers(pusher, {}), list))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}/") as session:
        yield session
    await runner.cleanup()


def test_a_token_has_google_s_claims_and_verifies_with_the_served_key(issuer: Issuer) -> None:
    """google-auth accepts the signature with the key set, and every claim is where Google puts it."""
    token = issuer.token(ADDRESS, "sluice", PRINCIPAL)
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
    issuer = Issuer(now_s=lambda: now_s)
    first = issuer.token(ADDRESS, "sluice", PRINCIPAL)
    now_s += TOKEN_LIFETIME_S - REUSE_MARGIN_S - 1
    assert issuer.token(ADDRESS, "sluice", PRINCIPAL) == first
    assert issuer.token(ADDRESS, "other", PRINCIPAL) != first
    now_s += 1
    assert issuer.token(ADDRESS, "sluice", PRINCIPAL) != first


def test_two_issuers_have_different_keys(issuer: Issuer) -> None:
    """A key is made at start: tokens of another run do not verify."""
    foreign = Issuer().token(ADDRESS, "sluice", PRINCIPAL)
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
        assert (await response.json())["token"] == issuer.token(ADDRESS, "sluice", PRINCIPAL)
    async with control.post("token", json={"audience": "other", "email": "me@example.com"}) as response:
        claims = jwt.decode((await response.json())["token"], certs=issuer.certs(), audience="other")
    assert claims["email"] == "me@example.com"


async def test_the_push_endpoint_can_be_changed(control: aiohttp.ClientSession) -> None:
    """POST /push-endpoint says where to from now on; anything but an HTTP URL is refused."""
    async with control.post("push-endpoint", json={"url": "http://127.0.0.1:2/pubsub/push"}) as response:
        assert await response.json() == {"url": "http://127.0.0.1:2/pubsub/push"}
    for body, complaint in (({"url": "ftp://x"}, "is not an http"), ({}, "missing required field `url`")):
        async with control.post("push-endpoint", json=body) as response:
            assert response.status == 400
            assert complaint in await response.text()


async def test_a_web_page_cannot_press_the_switches(control: aiohttp.ClientSession) -> None:
    """Only requests that a browser would have to ask for first (JSON) are taken."""
    async with control.post("push-endpoint", data='{"url": "http://evil.example/"}') as response:
        assert response.status == 415
