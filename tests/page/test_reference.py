"""The reference page in a real browser: it shows the document, offline, by keyboard, within its policy."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tests.page.axe import violations
from tests.page.visits import check_quiet
from tests.support.chromium.driver import Page
from tests.support.process import serving

SHOWN = "document.querySelectorAll('.opblock').length > 10"
LIST = "document.querySelector('#operations-query-listRecords')"
STORE = "document.querySelector('#operations-ingest-createRecords')"
OF_SWAGGER_UI = {
    *("color-contrast", "heading-order", "nested-interactive", "region"),
    *("scrollable-region-focusable", "select-name"),
}
"""Rules that Swagger UI itself breaks. A newer version may break fewer."""


async def test_the_page_shows_an_operation(tab: Page, tmp_path: Path, artefacts: Path) -> None:
    """Every operation but HEAD is listed; one shows its parameters, also in the dark; nobody else is asked."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await tab.prefer(color_scheme="dark")
        await tab.open(f"{process.url}/docs/")
        await tab.until(SHOWN)
        paths = (await client.get("/openapi/openapi.json")).json()["paths"]
        shown = await tab.run("[...document.querySelectorAll('.opblock-summary-method')].map((e) => e.textContent)")
        assert sorted(shown) == sorted(
            method.upper() for item in paths.values() for method in item if method not in {"head", "parameters"}
        )
        assert await tab.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(28, 32, 34)"
        await tab.run(f"{LIST}.querySelector('.opblock-summary-control').click()")
        await tab.until(f"{LIST}.innerText.includes('next_cursor') && {LIST}.innerText.includes('Start of the window')")
        await tab.screenshot(artefacts / "reference.png")
        assert set(await violations(tab)) <= OF_SWAGGER_UI
        check_quiet(tab, process)


class Hostile(Struct, forbid_unknown_fields=True):
    """A type with <script>globalThis.broken = 1</script> in its words."""

    id: Annotated[
        str, Meta(description='<img src="x" onerror="globalThis.broken = 1">', extra={"sluice": ["id", "filter"]})
    ]
    kind: Literal['"><script>globalThis.broken = 1</script>', "{files}"]


async def test_a_declaration_brings_no_markup(tab: Page, tmp_path: Path) -> None:
    """No word of a record type becomes a script or asks for an image."""
    async with serving(tmp_path / "data.duckdb", record=f"{__name__}:Hostile") as (process, _):
        await tab.open(f"{process.url}/docs")
        await tab.until(SHOWN)
        for operation, part in ((LIST, '[data-param-name="id"]'), (STORE, ".opblock-section-request-body")):
            await tab.run(f"{operation}.querySelector('.opblock-summary-control').click()")
            await tab.until(f"{operation}.querySelector('{part}') !== null")
        assert await tab.run("globalThis.broken === undefined")
        assert await tab.run("document.querySelectorAll('#reference [onerror], #reference script').length") == 0
        assert [url for url in tab.requests if url.endswith("/x")] == []
