"""Filters of one's own, taken and refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.page.visits import ROWS, check_quiet, choose, press, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

VALUE = "[...document.querySelectorAll('#search form')].at(-1).querySelectorAll('input')[1]"
ORDER: dict[str, Any] = {
    "customer": {"name": "Ada"},
    "tags": ["new"],
    "country": "NO",
    "channel": "web",
    "placed_time": datetime.now(UTC).isoformat(),
}
RECORD = "tests.page.declared:Order"


async def test_a_filter_that_is_refused_is_said_once_where_it_is(tab: Page, tmp_path: Path) -> None:
    """On its chip, in the service's words; what was typed stays to be corrected, and the corrected one replaces it."""
    async with serving(tmp_path / "data.duckdb", record=RECORD) as (process, client):
        orders = [ORDER | {"id": f"o-{cents}", "total_cents": cents} for cents in (100, 200)]
        assert (await client.post("/v1/records", json=orders)).status_code == 201
        await visit(tab, process)
        await tab.until(f"{ROWS} === 2")
        await tab.run("document.querySelector('#facets summary').click()")
        await tab.until("document.querySelectorAll('#facets li').length === 1")
        await choose(tab, "#search form:last-child select", "total_cents")
        await tab.run(f"{VALUE}.focus()")
        await tab.type("a lot")
        await press(tab, "Add filter")
        await tab.until("document.querySelector('#chips li').dataset.tone === 'bad'")
        await tab.shows("#chips li", "total_cents is a lot. ")
        await tab.shows("#stats", "Not available: a filter is not valid.")
        await tab.shows("#facets", "A filter is not valid.")
        said = await tab.run("document.querySelector('main').innerText")
        assert said.lower().count("whole number") == 1, said
        assert "Total_cents" not in said
        assert await tab.run(f"{VALUE}.value") == "a lot"
        assert await tab.run("document.querySelectorAll('.trouble:not([hidden])').length") == 1, "that of the facet"
        await tab.shows("#announcement", "The filter total_cents.eq is not valid.")

        await tab.run(f"{VALUE}.select()")
        await tab.type("200")
        await press(tab, "Add filter")
        await tab.until(f"{ROWS} === 1 && {VALUE}.value === ''")
        await tab.shows("#chips li", "total_cents is 200✕", whole=True)
        assert await tab.run("document.querySelector('#chips [data-tone]')") is None
        await tab.shows("#facets li", "NO1", whole=True)
        check_quiet(tab, process, but="400")
