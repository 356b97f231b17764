"""The page over a million records: every number is the API's, and none is a zero that is not known to be one."""

import asyncio
from pathlib import Path

from bench.query.rows import SOURCES, build_rows
from sluice.testing.process import serving
from tests.page.outages import intercept, rule
from tests.page.visits import SHOWN, check_quiet
from tests.support.chromium.driver import Page

ROWS = 1_000_000
WATCH = """
window.seen = [];
new MutationObserver(() => {
  const tile = document.querySelector("[data-figure=stored] .value");
  if (tile && window.seen.at(-1) !== tile.textContent) window.seen.push(tile.textContent);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
STORED = "document.querySelector('[data-figure=stored] .value').textContent"


async def test_a_million_records(tab: Page, tmp_path: Path) -> None:
    """While they are counted the tiles wait; a day of them is counted, divided and paged through as the API does."""
    rows = await asyncio.to_thread(build_rows, tmp_path / "data.duckdb", ROWS)
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await tab.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        await intercept(tab, "[['records/stats?since=-P1D', 'hang']]")
        await tab.open(f"{process.url}/?range=P1D&rows=500&sort=source")
        await tab.until("document.querySelectorAll('#records tbody tr').length === 500")
        await tab.shows("[data-figure=stored]", "Counting the last 24 hours")
        await rule(tab)
        await tab.run("history.pushState(null, '', '/?range=P1D'); dispatchEvent(new PopStateEvent('popstate')); 0")
        await tab.until(f"{SHOWN} && {STORED} !== '…'")
        told = (await client.get("/v1/records/stats", params={"since": "-P1D", "by": "source"})).json()
        counted = sum(each["records"] for each in told["series"])
        assert abs(counted - rows.originals_between(rows.end_us - 86_400_000_000, rows.end_us)) < ROWS / 30 / 24
        shown = int((await tab.run(STORED)).replace(",", ""))
        assert abs(shown - counted) < ROWS / 30 / 24, "the window has moved on by less than an hour"
        assert "0" not in await tab.run("window.seen")
        assert {await tab.run("window.seen[0]")} == {"…"}
        await tab.run(
            "[...document.querySelectorAll('#facets summary')].find((e) => e.textContent === 'source').click()"
        )
        await tab.until("document.querySelectorAll('#facets details[open] li').length >= 6")
        facets = await tab.text("#facets")
        assert all(source in facets for source in (*SOURCES, "audit"))
        check_quiet(tab, process)
