"""What the page sends, what stands on it before anything answers, and whether it stands still while it fills."""

from pathlib import Path

from sluice.testing.process import serving
from tests.page.visits import fill, visit
from tests.support.chromium.driver import Page

ROWS = "document.querySelectorAll('#records tbody tr').length"
REJECTED = "document.querySelectorAll('#rejected tbody tr').length"
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


async def test_the_page_is_light_and_stands_still(tab: Page, tmp_path: Path) -> None:
    """At most 150 kB of scripts are sent, and nothing moves while numbers arrive (CLS below 0.1, which is "good")."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await tab.send("Page.addScriptToEvaluateOnNewDocument", source=SHIFTS)
        await visit(tab, process)
        await tab.until(f"{ROWS} === 20 && {REJECTED} === 2")
        sent = await tab.run(
            "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'))"
            ".reduce((sum, each) => sum + each.transferSize, 0)"
        )
        assert 10_000 < sent <= 150_000
        assert await tab.run("window.shifted") < 0.1
