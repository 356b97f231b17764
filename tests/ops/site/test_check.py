"""The check of the built site finds each kind of fault, and none where there is none."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from sluice.ops.site.check import faults

TEXT = "## Here\n\n- one\n- two\n"
HTML = '<a href="#here">x</a><article><h2 id="here">Here</h2><ul><li>one</li><li>two</li></ul></article>'


def found(folder: Path, html: str, text: str = TEXT, others: Mapping[str, str] | None = None) -> list[str]:
    """Return the faults of a site with the page `a`."""
    (folder / "site").mkdir()
    (folder / "pages").mkdir()
    (folder / "site" / "a.html").write_text(html)
    (folder / "pages" / "a.md").write_text(text)
    return list(faults(folder / "site", folder / "pages", ["a.md"] if others is None else others))


def test_a_page_without_faults_has_none(tmp_path: Path) -> None:
    """Links to other hosts are no fault; they are not fetched."""
    assert (
        found(tmp_path, HTML + '<a href="https://x.example/">x</a><link rel="canonical" href="https://y.example/">')
        == []
    )


@pytest.mark.parametrize(
    ("html", "text", "fault"),
    [
        (HTML + '<a href="b.html">x</a>', TEXT, "links to b.html, which does not exist"),
        (HTML + '<a href="a.html#b">x</a>', TEXT, "links to a.html#b, and that page has no such heading"),
        (HTML + '<script src="https://x.example/a.js">', TEXT, "fetches https://x.example/a.js"),
        (HTML + '<link rel="stylesheet" href="//x.example/a.css">', TEXT, "fetches //x.example/a.css"),
        (HTML + '<img src="https://x.example/a.png">', TEXT, "fetches https://x.example/a.png"),
        (HTML, f"{TEXT}- three\n", "has 2 <li>, where GitHub shows 3"),
        (HTML, f"{TEXT}\n| a |\n|---|\n| b |\n", "has 0 <table>, where GitHub shows 1"),
    ],
)
def test_each_fault_is_found(html: str, text: str, fault: str, tmp_path: Path) -> None:
    """By page, in words."""
    assert found(tmp_path, html, text) == [f"a.html: {fault}"]


def test_a_page_that_no_reader_finds_is_a_fault(tmp_path: Path) -> None:
    """A new document is put in the navigation."""
    assert found(tmp_path, HTML, others={}) == ["a.html: is missing from the navigation"]
