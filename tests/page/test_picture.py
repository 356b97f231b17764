"""The pictures for README.md, of a small service."""

import struct
from pathlib import Path

import pytest

from sluice.testing.process import serving
from tests.page.picture import photograph
from tests.page.visits import fill
from tests.support.chromium.driver import Page
from tests.support.chromium.program import named


@pytest.mark.skipif(named() is not None, reason="this machine's own browser has the fonts of its people")
async def test_the_pictures_are_of_the_whole_page_in_its_own_font(tab: Page, browser_url: str, tmp_path: Path) -> None:
    """In both themes: not only the first screen, and only once all of it has loaded."""
    del tab  # marks the test as one that needs the browser
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await photograph(browser_url, f"{process.url}/", tmp_path)
    light, dark = ((tmp_path / f"page-{scheme}.png").read_bytes() for scheme in ("light", "dark"))
    assert light != dark
    for picture in (light, dark):
        width, height = struct.unpack(">II", picture[16:24])
        assert (width, height > 1_500) == (1_400, True)
