"""What the plots draw, seen as pixels: the newest numbers above all."""

from pathlib import Path

from tests.page.outages import intercept
from tests.page.visits import check_quiet, post, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

# The heights of what is drawn in the first colour, from the left to the right, in pixels.
HEIGHTS = """(() => {
  const canvas = document.querySelector('%s canvas');
  if (canvas === null) return [];
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const isDrawn = (at) => data[at] === 31 && data[at + 1] === 95 && data[at + 2] === 191 && data[at + 3] === 255;
  const heights = [];
  for (let x = 0; x < canvas.width; x += 1) {
    let height = 0;
    for (let y = 0; y < canvas.height; y += 1) height += isDrawn(4 * (y * canvas.width + x));
    heights.push(height);
  }
  return heights;
})()"""
COUNTS = """(body) => {
  for (const each of body.series) {
    each.values.count.fill(0);
    each.values.count[20] = 3;
    each.values.count[each.values.count.length - 1] = 25_000;
    each.records = 25_003;
  }
}"""


def heights(place: str) -> str:
    """Return the expression of the heights of what the plot in `place` draws."""
    return HEIGHTS % place


async def test_the_newest_bucket_is_drawn_while_it_fills(tab: Page, tmp_path: Path) -> None:
    """Over 24 hours, of which the last minutes brought nearly all: the bars and the legend say so."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await post(client, {"id": "a", "source": "shop"})
        await intercept(tab, f"[['records/stats?since=-P1D', {COUNTS}]]")
        await tab.prefer(color_scheme="light")
        await visit(tab, process)
        await tab.run("document.querySelector('#range input[value=P1D]').click()")
        for plot in ("#plots .card:first-child", "#stats"):
            await tab.shows(f"{plot} .legend", "25,003")
            tall = f"{heights(plot)}.map((height, x) => [height, x]).filter(([height]) => height > 100)"
            await tab.until(f"{tall}.length >= 2")
            right = await tab.run(f"document.querySelector('{plot} canvas').width")
            assert (await tab.run(tall))[-1][1] > right - 30, "at the right end"
        overview = await tab.run("document.querySelector('#overview').innerText")
        assert overview.count("/s") == 1, "one rate: that of the last minute"
        assert "in each 15 min" in overview
        check_quiet(tab, process, but="getImageData")
