"""A reader who types what a page shows sees what it shows."""

from pathlib import Path

import pytest

from tests.documentation.session import is_shown, session, steps_of, with_table
from tests.long_form import long
from tests.rules import ROOT

FIRST = ("README.md", "docs/tutorial.md", "docs/export.md")
"""What a new user reads, and the how-to that reads most of the API."""
OTHERS = tuple(f"docs/{name}.md" for name in ("project", "publish", "replay", "follow", "analyse", "mcp"))


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


def test_a_session_is_one_terminal(tmp_path: Path) -> None:
    """Folder and exported variables hold for the next block; a named block is a file there."""
    document = tmp_path / "page.md"
    document.write_text(
        "```sh\nmkdir a && cd a\nexport WORD='x y'\n```\n\nWrite `b.txt`:\n\n```text\nz\n```\n\n"
        '```sh\necho "$WORD $(cat b.txt)"; pwd\n```\n\n```text\nx y z\n…/home/a\n```\n'
    )
    with session(tmp_path) as terminal:
        for step in steps_of(document):
            terminal.carry_out(step)


def test_a_table_takes_the_place_of_that_table(tmp_path: Path) -> None:
    """And the rest of the file stays; one that the file lacks is a mistake of the document."""
    file = tmp_path / "some.toml"
    assert with_table(file, "[a]\nx = 1\n") == "[a]\nx = 1\n"
    file.write_text('[a]\nx = 1\n\n[a.b]\ny = 2\n# z\n\n[c]\nz = ["w"]\n')
    assert with_table(file, "[a.b]\ny = 3\n") == '[a]\nx = 1\n\n[a.b]\ny = 3\n\n[c]\nz = ["w"]\n'
    with pytest.raises(AssertionError, match=r"some.toml has no table \[d\]"):
        with_table(file, "[d]\n")


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [("a\n", "a\n\n", True), ("a…c", "abbc", True), ("a…", "b", False), ("a", "ab", False), ("a.c", "abc", False)],
)
def test_an_output_is_compared_as_it_is(shown: str, output: str, same: bool) -> None:  # noqa: FBT001 - a case's
    """But for the space at its end, and what the document leaves out."""
    assert is_shown(shown, output) is same
