from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, get

from app.auth.grants import LOCAL_PRINCIPAL, GrantRules, Principal
from app.auth.grants_file import GrantsReloader
from app.auth.guard import Callers, api_guard
from app.auth.key_set import KeySet
from app.auth.limits import ByteBudget, RateLimit, RequestCount
from app.auth.read_slots import ReadSlots
from app.auth.tokens import TokenVerifier
from app.http.problems import EXCEPTION_HANDLERS
from app.settings.auth import AuthSettings
from sluice.testing import tokens
from sluice.testing.clock import FakeClock
from tests.auth.tokens.forge import POLICY, verifier

SHOP = "https://shop.example"


def client_of(checking: TokenVerifier | None) -> httpx.AsyncClient:
    """Return a client of an application that answers with the caller's name behind the guard."""
    grants = GrantsReloader(
        "", GrantRules(settings=AuthSettings(api_principals=(tokens.PUSHER,)), check_filters=lambda *_: None)
    )
    clock = FakeClock()
    verifier = checking or TokenVerifier(KeySet(tokens.fetch_keys, clock), POLICY)
    callers = Callers(verifier, grants if checking else None, clock, (SHOP,))
    budget, limit = ByteBudget(0, clock, Counter()), RateLimit(RequestCount(clock), clock)
    guard = api_guard(callers.identify, limit, budget, ReadSlots(8, clock), "records")

    @get("/", guards=[guard], media_type="text/plain")
    async def name(request: Request[Any, Any, Any]) -> str:
        principal = request.state.principal
        assert isinstance(principal, Principal)
        return principal.name

    app = Litestar([name], exception_handlers=EXCEPTION_HANDLERS, openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar's types are narrower than ASGI's
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture
async def local() -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an application without principals."""
    async with client_of(None) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8080", "LocalHost:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:8080"),
        *("localhost:", "127.0.0.5", "127.255.0.1:80", "[0:0:0:0:0:0:0:1]:8080"),
    ],
)
async def test_this_machines_names_are_let_in(local: httpx.AsyncClient, host: str) -> None:
    """Without principals, who calls the service by a loopback name is the local principal."""
    answer = await local.get("/", headers={"Host": host})
    assert (answer.status_code, answer.text) == (200, LOCAL_PRINCIPAL.name)


@pytest.mark.parametrize(
    "host",
    [
        *("", ":8080", "attacker.example", "attacker.example:8080", "localhost.attacker.example"),
        *("localhost.attacker.example:8080", "attacker.example:80:localhost", "localhost@attacker.example"),
        *("localhost:80@attacker.example:80", "127.0.0.1.attacker.example", "127.0.0.1:80:80", "0.0.0.0:8080"),
        *("10.0.0.1", "::1", "[::1", "[::1].attacker.example", "[::2]:8080", "[attacker.example]", "[127.0.0.1]"),
        *("::1:8080", "127.1", "127.0.0.01", "128.0.0.1", "localhost,attacker.example", "xn--localhost-xxx"),
    ],
)
async def test_other_names_are_forbidden(local: httpx.AsyncClient, host: str) -> None:
    """A page that points a name of its own at 127.0.0.1 cannot speak for this machine's user."""
    answer = await local.get("/", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080", SHOP])
async def test_pages_of_this_machine_are_let_in(local: httpx.AsyncClient, origin: str) -> None:
    """A page that this machine serves may call the service, and one whose origin the settings name."""
    assert (await local.get("/", headers={"Origin": origin})).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("https://attacker.example", "https://localhost.attacker.example", "null", "", "localhost", "file://"),
        *(f"{SHOP}:444", "http://shop.example", f"{SHOP}.attacker.example"),
    ],
)
async def test_pages_from_elsewhere_are_forbidden(local: httpx.AsyncClient, origin: str) -> None:
    """A form of a page from elsewhere, which the browser sends to localhost, stores nothing."""
    answer = await local.get("/", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_two_hosts_do_not_add_up(local: httpx.AsyncClient) -> None:
    """A second Host header does not help a foreign first one, nor the other way round."""
    for hosts in (["attacker.example", "localhost"], ["localhost", "attacker.example"]):
        answer = await local.get("/", headers=[("Host", host) for host in hosts])
        assert answer.status_code == 403


async def test_with_a_verifier_the_token_says_who_it_is() -> None:
    """With principals, the caller is the token's e-mail, from whatever host; without a token it is nobody."""
    async with client_of(await verifier()) as client:
        headers = {"Authorization": f"Bearer {tokens.token()}", "Host": "api.example", "Origin": "https://shop.example"}
        answer = await client.get("/", headers=headers)
        assert (answer.status_code, answer.text) == (200, tokens.PUSHER)
        answer = await client.get("/")
        assert (answer.status_code, answer.json()["code"]) == (401, "missing_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
