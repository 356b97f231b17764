"""The error matrix in docs/ and its tests are in step."""

import ast
import re
from pathlib import Path

import pytest

from app.stores.sink import SinkState

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "error-matrix.md"
COLUMNS = 7


def matrix_tests() -> list[str]:
    """Return the names of the test functions of the matrix."""
    return [
        node.name
        for path in Path(__file__).parent.glob("test_storage_write_*.py")
        if path != Path(__file__)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def cells(text: str) -> list[list[str]]:
    """Return the rows of the document's tables that have a test column."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return [row for row in rows if len(row) == COLUMNS and row[-1] not in {"test", "---"}]


def faults(text: str, tests: list[str]) -> list[str]:
    """Return what is out of step: rows without a test of the matrix, tests without a row, states nobody knows."""
    rows = cells(text)
    named = [re.findall(r"`(test_\w+)`", row[-1]) for row in rows]
    found = [f"no test: {row[0]}" for row, names in zip(rows, named, strict=True) if len(names) != 1]
    cited = [name for names in named for name in names]
    found += [f"no such test: {name}" for name in cited if name not in tests]
    found += [f"not in the matrix: {name}" for name in tests if name not in cited]
    known = {state.value for state in SinkState}
    found += [
        f"no such state: {word}" for row in rows for word in re.findall(r"`([A-Z_]+)`", row[5]) if word not in known
    ]
    return found


def test_every_cell_names_its_test_and_every_test_has_its_cell() -> None:
    """Neither the page nor the tests run ahead of the other."""
    tests = matrix_tests()
    assert len(tests) > 50
    assert faults(DOCUMENT.read_text(), tests) == []


@pytest.mark.parametrize("state", [state.value for state in SinkState])
def test_every_state_says_what_it_wants_from_a_human(state: str) -> None:
    """The first table of the page has a row for each."""
    assert re.search(rf"^\| `{state}` \| \S", DOCUMENT.read_text(), re.MULTILINE)


def test_this_check_can_fail() -> None:
    """A missing test, a missing row and an unknown state are found."""
    row = "| a | b | c | d | e | `{}` | `{}` |"
    assert faults(row.format("ACTIVE", "test_x"), ["test_x"]) == []
    assert faults(row.format("ACTIVE", "test_y"), ["test_x"]) == ["no such test: test_y", "not in the matrix: test_x"]
    assert faults(row.format("GONE", "test_x"), ["test_x"]) == ["no such state: GONE"]
    assert faults("| a | b | c | d | e | f | none |", []) == ["no test: a"]
