"""The drills and the run-book belong together, and what is compared at the end of a drill can differ."""

import re

import pytest

from sluice.ops.drill.catalogue import DRILLS
from sluice.ops.drill.run_book import run_book_path, section_of
from sluice.ops.drill.trickle import compare

DOCUMENT = run_book_path().read_text()


def test_every_section_with_commands_for_a_laptop_is_practised() -> None:
    """A command that no drill runs would not be tested."""
    sections = re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)
    with_commands = {each for each in sections if '```sh title="laptop"' in section_of(DOCUMENT, each)}
    assert with_commands == {drill.section for drill in DRILLS.values()}


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
