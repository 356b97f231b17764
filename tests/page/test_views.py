"""A view is its address: the time, filters, columns, order and plot; and what shows other records."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.page.outages import intercept
from tests.page.visits import CATCH_COPIES, FIRST, QUERY, ROWS, SHOWN, check_quiet, choose, fill, post, press, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

HEADS = "[...document.querySelectorAll('#records thead th')].map((head) => head.textContent).join()"


async def test_a_view_is_its_address(tab: Page, tmp_path: Path) -> None:
    """What was chosen stands in the address, which shows the same to somebody else; Back and Forward go through it."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await visit(tab, process)
        await tab.until(f"{ROWS} === 20 && {QUERY} === ''")
        await tab.run("document.querySelector('#range input[value=PT1H]').click()")
        await tab.until(f"{QUERY} === '?range=PT1H'")
        await tab.run(
            "[...document.querySelectorAll('#facets summary')].find((e) => e.textContent === 'source').click()"
        )
        await press(tab, "checkout", "#facets")
        await tab.until(f"{ROWS} === 15")
        await tab.run("document.querySelector('#columns input[value=data]').click()")
        await press(tab, "id", "#records thead")
        await tab.until("document.querySelector('#records th').ariaSort === 'ascending'")
        await choose(tab, "#stats-form label:first-child select", "p95:delay")
        await choose(tab, "#stats-form label:last-child select", "")
        await tab.until("document.querySelector('#stats .legend').textContent.includes('95th')")
        address = await tab.run("location.href")
        for part in ("range=PT1H", "sort=id", "metric=p95%3Adelay", "by=&", "columns=", "filter=source.eq%3Dcheckout"):
            assert part in address, address
        heads, first = await tab.run(HEADS), await tab.run(FIRST)

        await tab.open(address)
        await tab.until(f"{SHOWN} && {ROWS} === 15")
        assert (await tab.run(HEADS), await tab.run(FIRST)) == (heads, first)
        assert "data" not in heads
        await tab.shows("#chips li", "source is checkout✕", whole=True)
        assert await tab.run("document.querySelector('#range input:checked').value") == "PT1H"
        await tab.until("document.querySelector('#stats .legend').textContent.includes('95th')")

        await tab.run("history.back()")
        await tab.until(f"{QUERY}.includes('by=') === false && {ROWS} === 15")
        await tab.run("history.go(-4)")
        await tab.until(f"{QUERY} === '?range=PT1H' && {ROWS} === 20 && document.querySelector('#chips').hidden")
        await tab.run("history.forward()")
        await tab.until(f"{ROWS} === 15")
        check_quiet(tab, process)


async def test_a_window_of_ones_own(tab: Page, tmp_path: Path) -> None:
    """From one instant to another, by this computer's clock; everything on the page is of it."""
    now = datetime.now(UTC).replace(microsecond=0)
    local = (
        "(() => { const d = new Date('%s');"
        "return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19); })()"
    )
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await visit(tab, process)
        await tab.until(f"{ROWS} === 20")
        await tab.run("document.querySelector('#range input[value=custom]').click()")
        await tab.until("!document.querySelector('#custom').hidden")
        assert await tab.run(ROWS) == 20, "nothing changes before both ends are chosen"
        ends = [await tab.run(local % (now - timedelta(hours=hours)).isoformat()) for hours in (30, 29)]
        boxes = "document.querySelectorAll('#custom input')"
        set_ends = f"{boxes}.forEach((box, at) => {{ box.value = {json.dumps(ends)}[at]; }})"
        await tab.run(set_ends)
        await press(tab, "Show", "#custom")
        await tab.until("document.querySelector('#records').textContent.includes('No record was stored in this time')")
        await tab.until("document.querySelector('#figures').textContent.includes('Stored0')")
        expected = {
            f"{name}={(now - timedelta(hours=hours)).strftime('%Y-%m-%dT%H')}"
            for name, hours in (("since", 30), ("until", 29))
        }
        assert expected <= set((await tab.run(QUERY)).replace("%3A", ":")[1:].replace(":", "&").split("&"))
        await tab.shows("[data-figure=incoming]", "last record")

        await tab.run("history.back()")
        await tab.until(f"{ROWS} === 20 && document.querySelector('#custom').hidden")
        await tab.run("document.querySelector('#range input[value=custom]').click()")
        await tab.run(set_ends.replace(json.dumps(ends), json.dumps(ends[::-1])))
        await press(tab, "Show", "#custom")
        assert (
            await tab.run("document.querySelectorAll('#custom input')[1].validationMessage")
            == "The end must be after the beginning."
        )
        check_quiet(tab, process)


async def test_a_record_shows_its_versions_and_its_trace(tab: Page, tmp_path: Path) -> None:
    """All with its id, the newest first; and the trace where Google keeps traces."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    told = "(body) => ({ ...body, trace: 'https://traces.example/?tid={trace}' })"
    traced = f"(body) => {{ for (const each of body.records ?? []) each.trace_id = '{trace}'; }}"
    async with serving(tmp_path / "data.duckdb") as (process, client):
        for version in ("one", "two"):
            await post(client, {"id": "a", "source": version})
        await post(client, {"id": "b"})
        await intercept(tab, f"[['v1/records?', {traced}], ['v1/', undefined], ['health', undefined], ['', {told}]]")
        await visit(tab, process)
        await tab.until(f"{ROWS} === 3")
        await press(tab, "a", "#records tbody")
        await tab.until("document.querySelector('#details').open")
        assert (
            await tab.run("document.querySelector('#details-actions a').href") == f"https://traces.example/?tid={trace}"
        )
        await press(tab, "All versions", "#details")
        await tab.until(f"{ROWS} === 2 && !document.querySelector('#details').open")
        await tab.shows("#records tbody", "two")
        await tab.shows("#records caption", "All versions of the record", whole=True)
        assert await tab.run(QUERY) == "?id=a"
        assert await tab.run("document.querySelector('#search input[type=search]').value") == "a"
        await tab.run("history.back()")
        await tab.until(f"{ROWS} === 3")
        check_quiet(tab, process)


async def test_the_latest_versions_are_shown_alone(tab: Page, tmp_path: Path) -> None:
    """Whatever the time; commands and downloads are of them, and the address says so."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await post(client, {"id": "order-1000", "source": "again"}, {"id": "order-1001", "source": "again"})
        await tab.open(f"{process.url}/?rows=100")
        await tab.until(f"{SHOWN} && {ROWS} === 32")
        await tab.run("document.querySelector('#records input[value=latest]').click()")
        await tab.until(f"{ROWS} === 30 && {FIRST} === 'order-1002'")
        assert "versions=latest" in await tab.run(QUERY)
        assert await tab.run("document.querySelector('#records th[aria-sort=ascending]')?.textContent") == "Stored ↑"
        await tab.run(CATCH_COPIES)
        await press(tab, "Copy as curl")
        await tab.until("window.copied !== undefined")
        assert await tab.run("window.copied") == f"curl --fail-with-body '{process.url}/v1/state'"
        await tab.run("document.querySelector('#records input[name=versions]').click()")
        await tab.until(f"{ROWS} === 32 && {QUERY} === '?rows=100'")
        check_quiet(tab, process)
