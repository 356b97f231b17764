"""What a visit of the page takes over a million rows: in a real browser, which has nothing in its cache.

Each visit is a new tab with an empty cache. The window is the last day, of about 33,000 records of the million. The
service and the browser are on the same machine, so this is the time of a laptop's own, without a network.

    first content   the first text that is painted (First Contentful Paint), from the navigation on
    complete        every number, plot and list is there
    scripts, all    bytes as they were sent, compressed
    shift           how much of what is seen moved (Cumulative Layout Shift, https://web.dev/articles/cls)

Writes bench/results/page.json.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from bench.machine import machine_before
from bench.places import RESULTS
from bench.query.rows import build_rows
from bench.report.results import PageVisit, PageVisits
from sluice.testing.process import serving
from tests.support.chromium.driver import Page, connected, running
from tests.support.chromium.program import program

RESULT = RESULTS / "page.json"
ROWS = 1_000_000
_OBSERVE = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
_COMPLETE = (
    "document.querySelectorAll('#records tbody tr').length === 20"
    " && document.querySelectorAll('#plots canvas').length === 3"
    " && document.querySelector('#board [aria-busy=true]') === null"
)
_FIRST = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
_SENT = "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
_SUM = ".reduce((sum, each) => sum + each.transferSize, 0)"


async def visit(tab: Page, url: str) -> PageVisit:
    """Open the page in a new tab, and wait until it is complete."""
    await tab.send("Page.addScriptToEvaluateOnNewDocument", source=_OBSERVE)
    begun = time.perf_counter()
    await tab.open(url)
    await tab.until(_COMPLETE)
    complete_ms = (time.perf_counter() - begun) * 1_000
    files = f"{_SENT}.filter(({{ name }}) => !name.includes('/v1/') && !name.includes('/health/'))"
    return PageVisit(
        first_content_ms=float(await tab.until(_FIRST)),
        complete_ms=complete_ms,
        script_bytes=int(await tab.run(f"{files}.filter(({{ name }}) => name.endsWith('.js')){_SUM}")),
        all_bytes=int(await tab.run(f"{files}{_SUM}")),
        layout_shift=float(await tab.run("window.shifted")),
    )


async def measure(rows: int, visits: int) -> list[PageVisit]:
    """Return so many visits; one before them, which starts what starts once, does not count."""
    found = []
    with tempfile.TemporaryDirectory() as folder, running(program()) as address:
        path = Path(folder) / "data.duckdb"
        await asyncio.to_thread(build_rows, path, rows)
        async with serving(path) as (process, _), connected(address) as browser:
            for _ in range(visits + 1):
                async with browser.page() as tab:
                    found.append(await visit(tab, f"{process.url}/?range=P1D"))
    return found[1:]


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--visits", type=int, default=9)
    arguments = parser.parse_args()
    before = machine_before()
    visits = asyncio.run(measure(arguments.rows, arguments.visits))
    columns = [[getattr(each, name) for each in visits] for name in PageVisit.__struct_fields__]
    medians = dict(zip(PageVisit.__struct_fields__, map(statistics.median, columns), strict=True))
    median = msgspec.convert(medians, PageVisit, strict=False)
    RESULT.write_bytes(
        msgspec.json.format(msgspec.json.encode(PageVisits(before, arguments.rows, visits, median))) + b"\n"
    )
    print(median)


if __name__ == "__main__":
    main()
