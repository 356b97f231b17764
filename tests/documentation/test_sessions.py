"""A reader who types what a page shows sees what it shows."""

from pathlib import Path

import pytest

from tests.documentation.session import session, steps_of
from tests.long_form import long
from tests.rules import ROOT

FIRST = ("README.md", "docs/tutorial.md", "docs/read.md")
"""What a new user reads, and every way to read."""
OTHERS = tuple(f"docs/{name}.md" for name in ("deploy", "publish", "replay"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [*FIRST, *(pytest.param(page, marks=long) for page in OTHERS)])
def test_every_step_of_the_page_works(page: str, tmp_path: Path) -> None:
    """In an empty folder, in order, with Sluice installed."""
    steps = steps_of(ROOT / page)
    assert len(steps) >= 5
    with session(tmp_path) as terminal:
        for step in steps:
            terminal.carry_out(step)


def test_a_step_that_goes_wrong_is_noticed(tmp_path: Path) -> None:
    """A status that is not 0, and an output that is not the one shown; the line of the document is named."""
    document = tmp_path / "page.md"
    for text in ("```sh\nfalse\n```\n", "```sh\necho a\n```\n\n```text\nb\n```\n"):
        document.write_text(f"# Page\n\n{text}")
        folder = tmp_path / str(len(text))
        folder.mkdir()
        with session(folder) as terminal, pytest.raises(AssertionError, match=r"^line 4: "):
            terminal.carry_out(*steps_of(document))
