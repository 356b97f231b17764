"""A browser for the tests of the page, and where they keep their pictures."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.page.chromium import Page, chromium, found_chromium

ARTEFACTS = Path(os.environ.get("ARTEFACTS") or Path(__file__).parent.parent / ".artefacts")


@pytest.fixture
async def tab() -> AsyncIterator[Page]:
    """Give a tab of a browser, with nothing stored in it."""
    program = found_chromium()
    if program is None:
        pytest.skip("no Chromium here: install chromium or google-chrome, or name the program in CHROMIUM")
    async with chromium(program) as browser, browser.page() as page:
        yield page


@pytest.fixture
def artefacts() -> Path:
    """Give the folder for pictures: $ARTEFACTS, or tests/.artefacts."""
    return ARTEFACTS
