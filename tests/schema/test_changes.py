"""docs/record-types.md says what each change of a record type meets on both stores: every row is tried here."""

import enum
import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.schema.table import Table, records_table
from app.stores.bigquery.table_layout import differences
from app.stores.duckdb.migration import plan
from app.stores.duckdb.table_layout import declared_column, fit
from tests.table_server import resource_of

PAGE = Path(__file__).parents[2] / "docs" / "record-types.md"
_WORD = re.compile(r"\*\*([a-z ]+)\*\*")


class Color(enum.Enum):
    """An enum, before."""

    RED = "red"


class Colors(enum.Enum):
    """The enum, after."""

    RED = "red"
    BLUE = "blue"


_ID = Annotated[str, Meta(extra={"sluice": ["id"]})]
_REST: Any = ("rest", Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})], {})
_PROMOTED = Annotated[str | None, Meta(extra={"sluice": ["promoted"]})]
_NESTED = [("first", str), ("second", str | None, None)]


def _one_and_many(*fields: Any) -> list[Any]:
    nested: Any = msgspec.defstruct("Nested", fields, forbid_unknown_fields=True)
    return [("one", nested | None, None), ("many", list[nested], [])]


def _short(length: int) -> Any:
    return Annotated[str, Meta(max_length=length)]


Change = tuple[list[Any], list[Any], dict[str, str], set[str]]
"""The fields before and after (each type has the field `key` too), and the options of `migrate`: renames, drops."""
CHANGES: dict[str, Change] = {
    "add an optional field": ([], [("new", str | None, None)], {}, set()),
    "add a list": ([], [("new", list[str], [])], {}, set()),
    "declare a member that the rest holds": ([_REST], [_REST, ("new", _PROMOTED, None)], {}, set()),
    "add an optional field to a nested Struct": (
        _one_and_many(_NESTED[0]),
        _one_and_many(*_NESTED),
        {},
        set(),
    ),
    "add a required field": ([], [("new", str)], {}, set()),
    "rename an optional field": ([("old", str | None, None)], [("new", str | None, None)], {"old": "new"}, set()),
    "rename a required field": ([("old", str)], [("new", str)], {"old": "new"}, set()),
    "change the type of a value": (
        [("size", int), ("day", date), ("a", str)],
        [("size", float), ("day", datetime), ("a", int)],
        {},
        set(),
    ),
    "relax: a required field becomes optional": ([("a", str)], [("a", str | None, None)], {}, set()),
    "tighten: an optional field becomes required": ([("a", str | None, None)], [("a", str)], {}, set()),
    "remove an optional field": ([("old", str | None, None)], [], {}, {"old"}),
    "remove a required field": ([("old", str)], [], {}, {"old"}),
    "allow another enum value": ([("color", Color)], [("color", Colors)], {}, set()),
    "change a constraint, such as max_length": ([("a", _short(10))], [("a", _short(99))], {}, set()),
    "change a description or a role": (
        [("a", str)],
        [("a", Annotated[str, Meta(description="New.", extra={"sluice": ["filter"]})])],
        {},
        set(),
    ),
    "reorder the fields": ([("a", str), ("b", int)], [("b", int), ("a", str)], {}, set()),
    "make another field the id": ([("a", _ID), ("b", str)], [("a", str), ("b", _ID)], {}, set()),
    "change the type to or from bytes": ([("a", str)], [("a", bytes)], {}, set()),
    "a single value becomes a list": ([("a", str | None, None)], [("a", list[str], [])], {}, set()),
}


def rows() -> dict[str, tuple[str, str]]:
    """Return the rows of the page's table of changes: what each meets on BigQuery, and on the embedded store."""
    section = PAGE.read_text(encoding="utf-8").partition("### What happens to each change")[2]
    table = section.partition("\n### ")[0]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {row[0]: (_WORD.match(row[1])[1], _WORD.match(row[2])[1]) for row in cells[2:]}  # type: ignore[index] # a row without its word fails here


def table_of(fields: list[Any]) -> Table:
    """Return the table of a record type with these fields."""
    is_strict = _REST not in fields
    return records_table(
        msgspec.defstruct("Changed", [("key", str), *fields], kw_only=True, forbid_unknown_fields=is_strict)
    )


def on_bigquery(before: Table, after: Table) -> str:
    """Return what an image of `after` meets in the live table of `before`."""
    words = {difference.effect for difference in differences(after, resource_of(before))}
    return "mismatch" if "breaks" in words else "pending" if "pending" in words else "fits"


def on_the_embedded_store(before: Table, after: Table, renames: dict[str, str], drops: set[str]) -> str:
    """Return what an image of `after` meets in the file of `before`."""
    columns = [declared_column(column) for column in before.columns]
    found = fit(after, columns)
    if not found.problems:
        return "added" if found.additions else "fits"
    return "new field" if plan(after, columns, renames, drops).problems else "migrate"


def test_the_page_has_a_row_for_every_change_that_is_tried() -> None:
    """In the same order."""
    assert list(rows()) == list(CHANGES)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_meets_what_the_page_says(change: str) -> None:
    """On both stores; and an older image that finds the changed table is only noted, for what is additive."""
    before, after, renames, drops = CHANGES[change]
    was, is_now = table_of(before), table_of(after)
    assert (on_bigquery(was, is_now), on_the_embedded_store(was, is_now, renames, drops)) == rows()[change]
    if rows()[change][1] in {"migrate", "added"}:
        assert plan(is_now, [declared_column(column) for column in was.columns], renames, drops).steps
    if rows()[change][0] == "pending":
        assert on_bigquery(is_now, was) != "mismatch"
        assert on_the_embedded_store(is_now, was, {}, set()) in {"fits", "added"}
