"""Documents become pages: where each is, where its links lead, and how its lists are written."""

from pathlib import Path

import pytest

from sluice.ops.site.check import navigation_of
from sluice.ops.site.pages import documents, indented, page_of, site_files
from tests.rules import DOCUMENTS, ROOT


def test_every_document_is_a_page() -> None:
    """Those that the rules about documents look at; no two have the same place."""
    found = documents()
    assert {ROOT / path for path in found} == set(DOCUMENTS)
    assert len({page_of(path) for path in found}) == len(found)


@pytest.mark.parametrize(
    ("document", "page"),
    [
        ("docs/api.md", "api.md"),
        ("docs/decisions/README.md", "decisions/index.md"),
        ("README.md", "project/readme.md"),
        ("SECURITY.md", "project/security.md"),
        ("infra/terraform/README.md", "infra/terraform.md"),
    ],
)
def test_a_page_has_a_plain_address(document: str, page: str) -> None:
    """A README has the name of its folder, and SECURITY.md is another page than docs/security.md."""
    assert page_of(document) == page


def written(root: Path, **files: str) -> dict[str, str]:
    """Return the site's input for a repository with these files; `__` in a name is a slash, `_` a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {path: content.decode() for path, content in site_files(root).items()}


def test_links_lead_to_the_same_thing(tmp_path: Path) -> None:
    """A document to its page, code to a page that shows it; what is a link in code only stays as it is."""
    text = (
        "[a](../README.md#x) [b](#here) [c](https://x.example/a.md) [d](../app) [e](../app/main.py) `[f](../README.md)`"
    )
    files = written(tmp_path, README_md='# R\n<img src="docs/p.svg">\n', docs__a_md=text, app__main_py="X = 1\n")
    assert files["a.md"] == (
        "[a](project/readme.md#x) [b](#here) [c](https://x.example/a.md) [d](source/app.md) "
        "[e](source/app/main.py.md) `[f](../README.md)`"
    )
    assert "````` python\nX = 1\n`````" in files["source/app/main.py.md"]
    assert "- `main.py`" in files["source/app.md"]
    assert 'src="docs/p.svg"' in files["project/readme.md"], "a dead link is left for the check to report"


def test_a_picture_is_brought_along(tmp_path: Path) -> None:
    """As it is, not as a page."""
    files = written(tmp_path, README_md='<source srcset="docs/p.svg">\n', docs__p_svg="<svg/>")
    assert files["project/readme.md"] == '<source srcset="../source/docs/p.svg">\n'
    assert files["source/docs/p.svg"] == "<svg/>"


def test_what_belongs_to_a_list_item_has_four_spaces() -> None:
    """At every depth; a text without lists does not change."""
    assert indented("1. a\n\n   b\n2. c\n   - d\n     e\n") == "1. a\n\n    b\n\n2. c\n    - d\n        e\n"
    assert indented("a\n    b\n```\n- c\n  d\n```\n") == "a\n    b\n```\n- c\n  d\n```\n"


def test_the_navigation_has_four_doors() -> None:
    """And every page that it lists exists."""
    configuration = (ROOT / "dev" / "site" / "zensical.toml").read_bytes()
    listed = navigation_of(configuration)
    assert set(listed) <= {page_of(path) for path in documents()}
    for door in (b"How-to", b"Reference", b"Explanation"):
        assert b'{ "' + door + b'" = [' in configuration


def test_the_gate_builds_the_documentation() -> None:
    """On a laptop, for each push, and before the pages are published."""
    assert "\nsection make docs" in (ROOT / ".ci" / "run").read_text()
    for workflow in ("ci.yml", "pages.yml"):
        assert "run: make docs" in (ROOT / ".github" / "workflows" / workflow).read_text()
