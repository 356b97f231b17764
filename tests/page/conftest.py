"""A browser for the tests of the page, and where they keep their pictures."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.page.program import program
from tests.support.chromium.driver import Page, connected, running

ARTEFACTS = Path(os.environ.get("ARTEFACTS") or Path(__file__).parent.parent / ".artefacts")
BROWSER = "browser"
"""The mark by which `make test` leaves these tests to `make page`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a tab."""
    for item in items:
        if "tab" in getattr(item, "fixturenames", ()):
            item.add_marker(BROWSER)


@pytest.fixture(scope="session")
def browser_url() -> Iterator[str]:
    """Run one browser for all tests: its tabs share nothing."""
    with running(program()) as url:
        yield url


@pytest.fixture
async def tab(browser_url: str) -> AsyncIterator[Page]:
    """Give a tab of the browser, with nothing stored in it."""
    async with connected(browser_url) as browser, browser.page() as page:
        yield page


@pytest.fixture
def artefacts() -> Path:
    """Give the folder for pictures: $ARTEFACTS, or tests/.artefacts."""
    return ARTEFACTS
