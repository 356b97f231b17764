"""The reference page in a real browser: accessible, operable by keyboard, offline, within its policy."""

from pathlib import Path

import pytest

from sluice.testing.process import serving
from tests.page.axe import violations
from tests.page.visits import check_quiet
from tests.streams.service import MARKET
from tests.support.chromium.driver import Page

OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
GROUND = "getComputedStyle(document.body).backgroundColor"
GROUNDS = {"light": "rgb(246, 246, 243)", "dark": "rgb(17, 20, 23)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_nothing(tab: Page, tmp_path: Path, artefacts: Path, width: int, scheme: str) -> None:
    """With every operation closed and with every one open; nothing is wider than the window."""
    async with serving(tmp_path / "data.duckdb") as (process, _):
        await tab.size(width, 900)
        await tab.prefer(color_scheme=scheme)
        await tab.open(f"{process.url}/docs")
        assert await tab.run(GROUND) == GROUNDS[scheme]
        assert await violations(tab) == {}
        await tab.screenshot(artefacts / f"reference-{width}-{scheme}.png")
        assert await tab.run("document.querySelectorAll('details').length") > 10
        await tab.run(OPEN_ALL)
        assert await violations(tab) == {}
        assert await tab.run("document.documentElement.scrollWidth") <= width
        check_quiet(tab, process)


async def test_axe_finds_what_is_wrong(tab: Page, tmp_path: Path) -> None:
    """The rules run: a page without a title or a name of its language breaks two of them."""
    async with serving(tmp_path / "data.duckdb") as (process, _):
        await tab.open(f"{process.url}/docs")
        await tab.run("document.title = ''; document.documentElement.removeAttribute('lang')")
        assert set(await violations(tab)) == {"document-title", "html-has-lang"}


async def test_the_keyboard_opens_an_operation(tab: Page, tmp_path: Path) -> None:
    """By Tab and Enter alone, both by the list of contents and at the operation itself."""
    focus = "document.activeElement"
    async with serving(tmp_path / "data.duckdb") as (process, _):
        await tab.open(f"{process.url}/docs")
        await tab.press("Tab")
        assert await tab.run(f"{focus}.className") == "skip"
        await _tab_to(tab, f"{focus}.textContent === 'Store records' && {focus}.localName === 'a'")
        assert await tab.run("document.querySelectorAll('details[open]').length") == 0
        await tab.press("Enter")
        await tab.until("document.querySelector('#createRecords').checkVisibility()")
        assert await tab.run("document.querySelectorAll('details[open]').length") == 1
        await _tab_to(tab, f"{focus}.localName === 'summary'")
        assert await tab.run(f"getComputedStyle({focus}).outlineStyle") != "none"
        was_open = await tab.run(f"{focus}.parentElement.open")
        await tab.press("Enter")
        await tab.until(f"{focus}.parentElement.open === {str(not was_open).lower()}")
        check_quiet(tab, process)


async def _tab_to(tab: Page, condition: str) -> None:
    for _ in range(100):
        await tab.press("Tab")
        if await tab.run(condition):
            return
    raise AssertionError(condition)


async def test_axe_finds_nothing_with_several_streams(tab: Page, tmp_path: Path) -> None:
    """Their operations have the same titles, and differ in the name of the stream."""
    async with serving(tmp_path / "data.duckdb", streams=MARKET.store.streams) as (process, _):
        await tab.open(f"{process.url}/docs/")
        await tab.run(OPEN_ALL)
        assert await violations(tab) == {}
        titles = "[...document.querySelectorAll('summary')].map((each) => each.textContent)"
        assert await tab.run(f"new Set({titles}).size === {titles}.length")
        ids = "[...document.querySelectorAll('[id]')].map((each) => each.id)"
        assert await tab.run(f"new Set({ids}).size === {ids}.length")
        check_quiet(tab, process)
