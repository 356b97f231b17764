"""The drills and the run-book belong together, and what is compared at the end of a drill can differ."""

import asyncio
import re
from pathlib import Path

import pytest

from sluice.ops.drill.catalogue import DRILLS
from sluice.ops.drill.run_book import RunBookError, laptop_commands, run_book_path, run_commands, section_of
from sluice.ops.drill.trickle import compare

DOCUMENT = run_book_path().read_text()


def test_every_section_with_commands_for_a_laptop_is_practised() -> None:
    """A command that no drill runs would not be tested."""
    sections = re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)
    with_commands = {each for each in sections if '```sh title="laptop"' in section_of(DOCUMENT, each)}
    assert with_commands == {drill.section for drill in DRILLS.values()}


def test_commands_are_those_of_the_section() -> None:
    """Blocks for Google Cloud, and those of the next section, are left out."""
    laptop = '```sh title="laptop"'
    document = f"## One\n\n```sh\ngcloud\n```\n\n{laptop}\na\nb\n```\n\n## Two\n\n{laptop}\nc\n```\n\n## Three\n"
    assert laptop_commands(section_of(document, "One")) == "a\nb\n"
    assert laptop_commands(section_of(document, "Two")) == "c\n"
    with pytest.raises(RunBookError, match="no commands"):
        laptop_commands(section_of(document, "Three"))
    with pytest.raises(RunBookError, match="no section 'Four'"):
        section_of(document, "Four")


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    """The commands after it do not run; those before have, with the drill's variables."""
    commands = 'echo "$URL" > "$DRILL/a"\n(exit 3)\ntouch "$DRILL/b"'
    with pytest.raises(RunBookError, match="status 3"):
        asyncio.run(run_commands(commands, {"URL": "x", "DRILL": str(tmp_path)}))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "x\n"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("abc", ([], [])),
        ("ab", (["c"], [])),
        ("aabc", ([], ["a"])),
        ("abcd", ([], ["d"])),
    ],
)
def test_a_difference_is_found(stored: str, expected: tuple[list[str], list[str]]) -> None:
    """A record that is lost, repeated or invented fails the drill."""
    assert compare("abc", stored) == expected
