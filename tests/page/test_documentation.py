"""The documentation, built by `make docs` and opened from a file as its archive is: nothing asks the network."""

import os
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.rules import ROOT
from tests.support.chromium.driver import Page


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of the start page of an archive, unpacked."""
    folder = tmp_path_factory.mktemp("documentation")
    archive = folder / "docs.zip"
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    command = ["make", "docs", f"ARCHIVE={archive}", f"ARGS=--into {folder / 'built'}"]
    built = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with ZipFile(archive) as packed:
        packed.extractall(folder)
    return (folder / "site" / "index.html").as_uri()


_DIALOG = "[...document.querySelectorAll('*')].find((each) => each.shadowRoot)?.shadowRoot"


def network(tab: Page) -> list[str]:
    """Return what was asked of a host."""
    return [url for url in tab.requests if url.startswith(("http:", "https:"))]


async def test_the_search_works_without_a_server(tab: Page, start: str) -> None:
    """A word finds a page; the code that documents link to is left out."""
    await tab.open(start)
    await tab.run("document.querySelector('.md-search__button').click()")
    await tab.until(f"{_DIALOG}?.querySelector('input')")
    await tab.run(f"{_DIALOG}.querySelector('input').focus()")
    await tab.type("watermarks")
    found = await tab.until(
        f"(() => {{ const found = [...{_DIALOG}.querySelectorAll('[role=option]')].map((each) => each.href);"
        " return found.some((each) => each.includes('decisions/0022-watermarks.html')) && found })()"
    )
    assert [url for url in found if "/source/" in url] == []
    assert network(tab) == []


async def test_diagrams_are_drawn_without_a_server(tab: Page, start: str, artefacts: Path) -> None:
    """Those of the architecture: as pictures, or as text where node has not brought Mermaid."""
    await tab.open(start.replace("index.html", "architecture.html"))
    await tab.until(
        "(() => { const found = [...document.querySelectorAll('div.mermaid')];"
        " return found.length === 3 && found.every((each) => each.clientHeight > 50) })()"
    )
    await tab.screenshot(artefacts / "documentation-architecture.png")
    assert network(tab) == []
    assert tab.complaints == []
