"""How texts become CSV, and that readers get them back; every other value is compared in tests/contract."""

import csv
import io
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.query.answer.encoders import row_encoder
from app.schema.columns import columns_of


class Texts(msgspec.Struct, forbid_unknown_fields=True):
    one: str | None
    two: str | None


TEXTS = columns_of(Texts)


def written(*rows: dict[str, Any], guard: bool = False) -> str:
    """Return rows as one file."""
    encoder = row_encoder("csv", TEXTS, guard=guard)
    return (encoder.begin() + encoder.encode(list(rows)) + encoder.end()).decode()


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
    assert written({"one": text, "two": "x"}, guard=True) == f"one,two\r\n{expected},x\r\n"
    assert ("'" in written({"one": text, "two": "x"})) == (text is not None and "'" in text)


@given(st.lists(st.none() | st.text(), min_size=1))
@example(["\r"])
@example([None, "", '"'])
def test_any_text_survives(texts: list[str | None]) -> None:
    """Whatever it holds, and beside another column."""
    lines = csv.reader(io.StringIO(written(*({"one": text, "two": "x"} for text in texts)), newline=""), strict=True)
    assert [*lines][1:] == [[text or "", "x"] for text in texts]
