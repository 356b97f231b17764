"""How rows become CSV, and that readers get back what was stored."""

import csv
import io
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.query.answer.encoders import converter, row_encoder
from app.schema.columns import Column, Kind, Mode, columns_of
from tests.query.sample_rows import DEEP_COLUMNS, rows_of


class Texts(msgspec.Struct, forbid_unknown_fields=True):
    one: str | None
    two: str | None


TEXTS = columns_of(Texts)


def written(columns: tuple[Column, ...], *rows: dict[str, Any], guard: bool = False) -> str:
    """Return rows as one file."""
    encoder = row_encoder("csv", columns, guard=guard)
    return (encoder.begin() + encoder.encode(list(rows)) + encoder.end()).decode()


def read(text: str) -> list[list[str]]:
    """Return what Python's reader makes of a file."""
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def cells_of(text: str) -> list[list[str | None]]:
    """Return the cells of a file by RFC 4180's grammar: None is an empty one, which Python's reader cannot tell."""
    lines: list[list[str | None]] = [[]]
    at = 0
    while at < len(text):
        cell = re.compile('"((?:[^"]|"")*)"|([^",\r\n]*)').match(text, at)
        assert cell is not None
        lines[-1].append(cell[2] or None if cell[1] is None else cell[1].replace('""', '"'))
        at = cell.end()
        if text.startswith("\r\n", at):
            lines.append([])
            at += 2
        else:
            assert text[at] == ","
            at += 1
    assert lines.pop() == []
    return lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
        ("", '""'),
        (None, ""),
    ],
)
def test_the_guard_keeps_text_from_being_run(text: str | None, expected: str) -> None:
    """A spreadsheet takes what begins so for a formula; behind an apostrophe it is text."""
    assert written(TEXTS, {"one": text, "two": "x"}, guard=True) == f"one,two\r\n{expected},x\r\n"
    assert ("'" in written(TEXTS, {"one": text, "two": "x"})) == (text is not None and "'" in text)


@given(st.lists(rows_of(DEEP_COLUMNS), max_size=4), st.data())
def test_what_is_read_back_is_what_was_stored(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    """Every value of every kind, null or not, however the rows are cut into pieces."""
    encoder = row_encoder("csv", DEEP_COLUMNS)
    cut = data.draw(st.integers(0, len(rows)))
    text = (encoder.begin() + encoder.encode(rows[:cut]) + encoder.encode(rows[cut:]) + encoder.end()).decode()
    header, *lines = cells_of(text)
    assert read(text) == [[cell or "" for cell in line] for line in [header, *lines]]
    for row, line in zip(rows, lines, strict=True):
        cells = dict(zip(header, line, strict=True))
        for path, column, value in _leaves(DEEP_COLUMNS, row, ""):
            assert _parsed(column, cells.pop(path)) == value, path
        assert not cells


def _leaves(columns: tuple[Column, ...], row: dict[str, Any] | None, prefix: str) -> list[tuple[str, Column, Any]]:
    """Return the cells that a row has to have: path, column and value."""
    found: list[tuple[str, Column, Any]] = []
    for column in columns:
        value = None if row is None else row.get(column.name)
        if column.kind is Kind.STRUCT and column.mode is not Mode.REPEATED:
            found += _leaves(column.fields, value, f"{prefix}{column.name}.")
        else:
            found.append((prefix + column.name, column, value if value is None else _comparable(column, value)))
    return found


def _comparable(column: Column, value: Any) -> Any:
    if column.mode is not Mode.REPEATED:
        return value
    convert = converter(column)
    return msgspec.json.decode(msgspec.json.encode(convert(value) if convert else value))


def _parsed(column: Column, cell: str | None) -> Any:
    if cell is None:
        return None
    return msgspec.json.decode(cell) if column.mode is Mode.REPEATED else _PARSERS[column.kind](cell)


_PARSERS: dict[Kind, Callable[[str], Any]] = {
    Kind.BOOL: {"true": True, "false": False}.__getitem__,
    Kind.INT64: int,
    Kind.FLOAT64: float,
    Kind.NUMERIC: Decimal,
    Kind.STRING: str,
    Kind.BYTES: b64decode,
    Kind.TIMESTAMP: lambda text: datetime.fromisoformat(text).astimezone(UTC),
    Kind.DATE: date.fromisoformat,
    Kind.TIME: time.fromisoformat,
    Kind.JSON: lambda text: Raw(text.encode()),
}
