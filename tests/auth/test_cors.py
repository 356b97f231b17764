"""Web pages that call the service from a browser."""

from pathlib import Path

import httpx
import pytest

from app.http import paths
from app.http.headers import EXPOSED
from app.settings.load import SettingsError, load_settings
from sluice.testing.service import GOOD, running
from tests.auth.callers import bearing, granting, key_grant

SHOP, ELSEWHERE = "https://shop.example", "https://elsewhere.example"


async def preflight(client: httpx.AsyncClient, origin: str, method: str = "GET") -> httpx.Response:
    """Ask as a browser does before the request itself."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,idempotency-key"}
    return await client.options(paths.RECORDS, headers={"Origin": origin, **asked})


async def test_a_listed_page_may_ask_and_reads_answers_and_problems_with_their_headers(tmp_path: Path) -> None:
    """A preflight has no token; a browser hides from a page whatever header is not exposed. Other pages are refused."""
    async with running(granting(tmp_path, key_grant(), cors_origins=(SHOP,))) as service:
        for method in ("GET", "POST", "PUT"):
            answer = await preflight(service.client, SHOP, method)
            assert answer.status_code == 204
            assert answer.headers["Access-Control-Allow-Origin"] == SHOP
            assert method in answer.headers["Access-Control-Allow-Methods"]
            assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert (await preflight(service.client, ELSEWHERE, method)).status_code == 400
            assert (await preflight(service.client, SHOP, "DELETE")).status_code == 400
        for headers, status in ((bearing(), 200), ({}, 401)):
            answer = await service.client.get(paths.RECORDS, headers={"Origin": SHOP, **headers})
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == SHOP
            assert set(answer.headers["Access-Control-Expose-Headers"].split(", ")) == set(EXPOSED)
        answer = await service.client.get(paths.RECORDS, headers={"Origin": ELSEWHERE, **bearing()})
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_every_header_of_ours_is_exposed(tmp_path: Path) -> None:
    """What an answer carries beside what every answer has, a page may read."""
    safe = {"content-type", "content-length", "cache-control", "vary"}  # the first three a page may read anyhow
    safe |= {"x-content-type-options"}  # which is for the browser
    async with running(granting(tmp_path, key_grant(scopes=["read", "write"]), cors_origins=(SHOP,))) as service:
        for number in range(3):
            await service.client.post(paths.RECORDS, json=GOOD | {"id": str(number)}, headers=bearing())
        answer = await service.client.get(f"{paths.RECORDS}?limit=1", headers={"Origin": SHOP, **bearing()})
    ours = {name for name in answer.headers if not name.startswith("access-control-")} - safe
    assert {"link", "ratelimit", "sluice-next-cursor"} <= ours
    assert ours <= {name.lower() for name in EXPOSED}


@pytest.mark.parametrize("origins", [(SHOP,), ("*",)])
async def test_what_answers_vary_by_is_still_said(tmp_path: Path, origins: tuple[str, ...]) -> None:
    """Else a browser could show one caller, or in one format, what it keeps of another."""
    async with running(granting(tmp_path, key_grant(), cors_origins=origins)) as service:
        for headers in ({"Origin": SHOP}, {}):
            answer = await service.client.get(paths.RECORDS, headers={**headers, **bearing()})
            assert {"Accept", "Authorization", "Origin"} <= set(answer.headers["Vary"].split(", "))


@pytest.mark.parametrize(
    "origin",
    [
        *("shop.example", "https://shop.example/", "https://shop.example/app", "https://*.shop.example", "null"),
        *("HTTPS://shop.example", "https://Shop.example", "ftp://shop.example", "https://a@shop.example", "https://"),
    ],
)
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    """It would be without effect, or have more than was meant."""
    with pytest.raises(SettingsError, match=r"^SLUICE_CORS_ORIGINS: .* such as https://app"):
        load_settings({"SLUICE_CORS_ORIGINS": origin, "SLUICE_API_PRINCIPALS": "a@example.com"})


def test_any_origin_is_for_services_that_want_tokens() -> None:
    """Open on loopback, every web page could read and write."""
    with pytest.raises(SettingsError, match=r"SLUICE_CORS_ORIGINS=\* would open /v1 to every web page"):
        load_settings({"SLUICE_CORS_ORIGINS": "*"})
    for closed in ("SLUICE_API_PRINCIPALS", "SLUICE_GRANTS_FILE"):
        assert load_settings({"SLUICE_CORS_ORIGINS": "*", closed: "a@example.com"}).auth.cors_origins == ("*",)
