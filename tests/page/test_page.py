"""What the page shows, in a real browser, over the real service."""

from pathlib import Path

from tests.page.visits import ROWS, check_quiet, fill, post, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving


async def test_everything_that_is_stored_is_shown(tab: Page, tmp_path: Path, artefacts: Path) -> None:
    """Numbers, plots, records, rejects and the instance, light, dark, narrow and wide; with pictures to look at."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await visit(tab, process)
        await tab.until(f"{ROWS} === 20 && document.querySelectorAll('#rejected tbody tr').length === 2")
        figures = await tab.text("#figures")
        assert "Stored30records" in figures
        assert "Rejected26.3 % of all" in figures
        plots = await tab.run("[...document.querySelectorAll('[role=img]')].map((each) => each.ariaLabel)")
        assert [plot.partition(".")[0] for plot in plots] == [
            *("Records stored", "From publication to the store", "Rejected, by reason", "Records over time")
        ]
        assert "2 rejected: invalid 2." in plots[2]
        assert "30 records, most of them where source is checkout." in plots[3]
        await tab.shows("#state", "Ready", whole=True)
        await tab.shows("#health", "Writing recordsACTIVE")
        assert await tab.run("document.querySelector('#readers').hidden"), "nobody has named itself"
        await client.get("/v1/records", headers={"Sluice-Reader": "billing-export"})
        await tab.shows("#named-readers tbody", "billing-exportlocalrecords")
        await tab.screenshot(artefacts / "page-light.png")
        await tab.prefer(color_scheme="dark")
        await tab.until("getComputedStyle(document.body).backgroundColor === 'rgb(17, 20, 23)'")
        await tab.screenshot(artefacts / "page-dark.png")
        for width, name in ((360, "narrow"), (1600, "wide")):
            await tab.size(width, 900)
            await tab.until(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
            fits = "[...document.querySelectorAll('.plot')].every((e) => e.querySelector('canvas').clientWidth <= {w})"
            await tab.until(fits.replace("{w}", "e.clientWidth"))
            await tab.screenshot(artefacts / f"page-{name}.png")
        check_quiet(tab, process)


async def test_filters_and_ids_find_records(tab: Page, tmp_path: Path) -> None:
    """A filter holds for records and statistics until it is taken away; an id is looked up; details show all."""
    add = "document.querySelector('#search form[aria-label=\"Filter the records\"]').requestSubmit()"
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await visit(tab, process)
        await tab.until(f"{ROWS} === 20")
        await tab.run("document.querySelectorAll('#search form')[1].querySelectorAll('input')[1].focus()")
        await tab.type("billing")
        await tab.press("Enter")
        await tab.until(f"{ROWS} === 7")
        await tab.shows("#chips li", "source is billing✕", whole=True)
        await tab.until("document.querySelector('#stats .legend').textContent === 'billing7'")
        await tab.run("document.querySelector('#chips button').click()")
        await tab.until(f"{ROWS} === 20 && document.querySelector('#chips').hidden")

        await tab.run(
            "(() => { const form = document.querySelectorAll('#search form')[1];"
            "const [field, operator] = form.querySelectorAll('select'); field.value = 'data';"
            "field.dispatchEvent(new Event('change')); operator.value = 'gte';"
            "operator.dispatchEvent(new Event('change'));"
            "const [inside, value] = form.querySelectorAll('input'); inside.value = 'total'; value.value = '17'; })()"
        )
        await tab.run(add)
        await tab.until(f"{ROWS} === 2")
        await tab.run("document.querySelector('#chips button').click()")

        await tab.run("document.querySelector('input[type=search]').focus()")
        await tab.type("order-1003")
        await tab.press("Enter")
        await tab.until(f"{ROWS} === 1 && document.querySelector('#records tbody button').textContent === 'order-1003'")
        await tab.run("document.querySelector('#records tbody button').focus()")
        await tab.press("Enter")
        await tab.until("document.querySelector('#details').open")
        details = await tab.text("#details")
        assert '"country": "NO"' in details
        assert "delivery_key" in details
        await tab.press("Escape")
        await tab.until("!document.querySelector('#details').open")
        assert await tab.run("document.activeElement.textContent") == "order-1003"
        check_quiet(tab, process)


async def test_a_record_cannot_bring_markup_along(tab: Page, tmp_path: Path) -> None:
    """Wherever its values are shown they are text, and the browser is told to refuse anything else."""
    hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await post(client, {"id": hostile, "source": hostile, "data": {hostile: hostile}})
        await client.post("/v1/records", content=hostile)
        await visit(tab, process)
        await tab.until(f"{ROWS} === 1 && document.querySelectorAll('#rejected tbody tr').length === 1")
        await tab.shows("#records tbody button", hostile, whole=True)
        await tab.shows("#stats .legend span:last-of-type", hostile, whole=True)
        await tab.run("document.querySelector('#rejected tbody button').click()")
        await tab.shows("#details", hostile)
        await tab.run("document.querySelector('#details').close()")
        await tab.run("document.querySelector('#records tbody button').click()")
        await tab.shows("#details", hostile)
        assert (
            await tab.run("document.querySelectorAll('main img, main script, dialog img, dialog script').length") == 0
        )
        assert await tab.run("document.title") == "Sluice"
        check_quiet(tab, process)
        setting = "(() => { try { document.body.innerHTML = '<b>x</b>' } catch { return 'refused' } })()"
        assert await tab.run(setting) == "refused"
