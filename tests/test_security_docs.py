"""docs/security.md claims nothing without a test that is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.rules import check, line_of

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "security.md"
_NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`")
_BY_THE_PLATFORM = ("| Cloud Run |", "| Pub/Sub |")
"""What is left to others entirely: there is no side of ours to test."""


@cache
def functions(path: Path) -> set[str]:
    """Return the test functions of a file."""
    found = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def claims() -> list[str]:
    """Return the rows of the tables, without their heads."""
    lines = DOCUMENT.read_text().splitlines()
    rules = {number for number, line in enumerate(lines) if line.startswith("|---")}
    heads = rules | {number - 1 for number in rules}
    return [line for number, line in enumerate(lines) if line.startswith("|") and number not in heads]


def missing_tests(document: Path) -> Iterator[tuple[int, str]]:
    """A test is named by its file and its function."""
    text = document.read_text()
    for named in _NAMED.finditer(text):
        path = TESTS / named[1]
        if not path.is_file() or named[2] not in functions(path):
            yield line_of(text, named.start()), f"there is no test {named[0]}"


def test_every_test_that_is_named_exists(tmp_path: Path) -> None:
    """None was renamed or removed; and one that was would be found."""
    check(missing_tests, [DOCUMENT])
    sample = tmp_path / "security.md"
    sample.write_text("`test_security_docs.py::test_of_nothing` `test_nowhere.py::test_x`")
    with pytest.raises(AssertionError, match=r"test_of_nothing(?s:.*)test_x"):
        check(missing_tests, [sample])


def test_every_claim_names_a_test() -> None:
    """Each row of each table, but those of which no part is ours."""
    rows = claims()
    assert len(rows) > 30
    assert [row for row in rows if not _NAMED.search(row) and not row.startswith(_BY_THE_PLATFORM)] == []


def test_nothing_passes_for_a_test_that_is_none() -> None:
    """Whatever looks like the name of one is written so that it is checked."""
    text = DOCUMENT.read_text()
    assert len(re.findall(r"\btest_\w+\.py", text)) == len(_NAMED.findall(text))


def test_the_page_is_linked_from_where_people_look() -> None:
    """SECURITY.md, which GitHub shows, leads to it."""
    assert "(docs/security.md)" in (TESTS.parent / "SECURITY.md").read_text()
