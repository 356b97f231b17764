"""The page for those who use a keyboard, a screen reader, large print or a calm screen."""

from pathlib import Path

import pytest

from tests.page.axe import violations
from tests.page.visits import SHOWN, fill, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

REACHABLE = """[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')].filter(
  (each) => !each.disabled && each.checkVisibility() && !each.closest('dialog') &&
    (each.type !== 'radio' || each.checked))"""


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(tab: Page, tmp_path: Path) -> None:
    """By Tab alone, first of all the way past the header; what has the focus has an outline."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await visit(tab, process)
        await tab.until("document.querySelectorAll('#rejected tbody tr').length === 2")
        await tab.run("document.querySelector('#pause').click(); document.activeElement.blur(); window.reached = []")
        await tab.until("document.querySelector('#pause').textContent === 'Paused'")
        expected = await tab.run(f"(window.expected = {REACHABLE}).length")
        assert expected > 40
        await tab.run("document.querySelector('.skip').focus()")
        await tab.until("getComputedStyle(document.activeElement).top === '0px'")
        for _ in range(expected + 5):
            await tab.run("window.reached.push(document.activeElement)")
            await tab.press("Tab")
        missed = "window.expected.filter((each) => !window.reached.includes(each)).map((each) => each.outerHTML)"
        assert await tab.run(missed) == []
        outlined = "window.reached.slice(1, 8).every((each) => { each.focus(); return outline(each) !== 'none'; })"
        await tab.run("window.outline = (each) => getComputedStyle(each).outlineStyle; 0")
        assert await tab.run(outlined)


async def test_every_plot_is_a_table_too(tab: Page, tmp_path: Path) -> None:
    """With the same numbers, opened by keyboard, and a head for each column and row."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await visit(tab, process)
        await tab.run("document.querySelectorAll('#plots summary')[2].focus()")
        await tab.press("Enter")
        rows = "document.querySelectorAll('#plots figure')[2].querySelectorAll('tbody tr')"
        await tab.until(f"{rows}.length > 80")
        numbers = f"[...{rows}].reduce((sum, row) => sum + Number(row.cells[1].textContent), 0)"
        assert await tab.run(numbers) == 2
        heads = "[...document.querySelectorAll('#plots figure')[2].querySelectorAll('th')].every((head) => head.scope)"
        assert await tab.run(heads)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(tab: Page, tmp_path: Path, scheme: str, width: int) -> None:
    """In the view as it opens, with everything opened that can be, in each dialog, and before the first record."""
    opened = "document.querySelectorAll('details').forEach((each) => {{ each.open = {}; }})"
    await tab.size(width, 900)
    await tab.prefer(color_scheme=scheme)
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await visit(tab, process)
        await tab.until("!document.querySelector('#first-record').hidden")
        await check_sound(tab)
        await fill(client)
        await tab.open(f"{process.url}/?filter=source.ne%3Dnobody&sort=source&columns=source,timestamp,data")
        await tab.until(f"{SHOWN} && document.querySelectorAll('#rejected tbody tr').length === 2")
        await tab.run("document.querySelector('#pause').click()")
        await check_sound(tab)
        await tab.run(opened.format("true"))
        await tab.run("document.querySelector('#range input[value=custom]').click()")
        await tab.until(
            "document.querySelectorAll('#facets li').length >= 3 && !document.querySelector('#custom').hidden"
        )
        await check_sound(tab)
        for place in ("#records", "#rejected"):
            await tab.run(f"document.querySelector('{place} tbody button').click()")
            await tab.until("document.querySelector('#details').open")
            await check_sound(tab)
            await tab.run("document.querySelector('#details').close()")


async def check_sound(tab: Page) -> None:
    """Neither axe nor the width of the window is violated."""
    assert await violations(tab) == {}
    assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
