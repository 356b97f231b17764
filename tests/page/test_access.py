"""The page where a key is asked for, and where there is nothing to read."""

from pathlib import Path

from tests.auth.callers import KEY, OTHER_KEY, document, key_grant, write
from tests.page.visits import SHOWN, check_quiet, post
from tests.support.chromium.driver import Page
from tests.support.process import serving

ASKED = "!document.querySelector('#entry').hidden"


def grants(folder: Path) -> str:
    """Write a file of grants: one key for everything, and one that sees the records of one source only."""
    everything = key_grant(scopes=["read", "write", "rejects"])
    little = key_grant(OTHER_KEY, name="partner-b", filters={"source": "shop"})
    write(folder / "grants.json", document(everything, little))
    return str(folder / "grants.json")


async def enter(tab: Page, key: str) -> None:
    """Type a key into the form, and send it."""
    await tab.run("document.querySelector('#key').value = ''; document.querySelector('#key').focus()")
    await tab.type(key)
    await tab.press("Enter")


async def test_a_key_opens_the_page_and_stays_in_its_tab(tab: Page, tmp_path: Path, artefacts: Path) -> None:
    """It is asked for once, refused in words when it is wrong, and stands in no address and no lasting storage."""
    async with serving(tmp_path / "data.duckdb", grants_file=grants(tmp_path)) as (process, client):
        client.headers["Authorization"] = f"Bearer {KEY}"
        await post(client, {"id": "a", "source": "shop"}, {"id": "b", "source": "depot"})
        await tab.open(f"{process.url}/")
        await tab.until(ASKED)
        assert await tab.run("document.activeElement.id") == "key"
        await tab.until("document.querySelector('#health').textContent.includes('ACTIVE')")
        await tab.screenshot(artefacts / "page-key.png")
        check_quiet(tab, process)

        await enter(tab, KEY[:-1] + "x")
        await tab.until("document.querySelector('#entry-trouble').textContent.includes('The API key is unknown')")
        await enter(tab, KEY)
        await tab.until(f"{SHOWN} && document.querySelectorAll('#records tbody tr').length === 2")
        await tab.until("document.querySelector('#entry').hidden")
        assert await tab.run("localStorage.length + document.cookie.length") == 0
        assert not [url for url in tab.requests if KEY in url]

        await tab.open(f"{process.url}/")
        await tab.until(SHOWN)
        await tab.run("document.querySelector('#forget').click()")
        await tab.until(ASKED)
        assert await tab.run("sessionStorage.length") == 0
        assert await tab.run("document.querySelectorAll('#records tr, #figures div, #rejected tr').length") == 0
        assert await tab.run("document.querySelector('#details-list').childElementCount") == 0
        check_quiet(tab, process, but="401")


async def test_a_key_shows_what_its_grant_allows(tab: Page, tmp_path: Path) -> None:
    """Records by its filters; without the scope for rejects the page says so, and asks for them once."""
    async with serving(tmp_path / "data.duckdb", grants_file=grants(tmp_path)) as (process, client):
        client.headers["Authorization"] = f"Bearer {KEY}"
        await post(client, {"id": "a", "source": "shop"}, {"id": "b", "source": "depot"})
        await tab.open(f"{process.url}/")
        await tab.until(ASKED)
        await enter(tab, OTHER_KEY)
        await tab.until("document.querySelectorAll('#records tbody tr').length === 1")
        await tab.until("document.querySelector('#rejected').textContent.includes('scope rejects')")
        await tab.until("document.querySelector('#figures').textContent.includes('Stored1record')")
        await post(client, {"id": "c", "source": "shop"})
        await tab.until("document.querySelectorAll('#records tbody tr').length === 2")
        assert len([url for url in tab.requests if "/v1/rejects" in url]) == 2
        check_quiet(tab, process, but="403")
