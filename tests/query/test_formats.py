"""How rows become bytes."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.query.feed import Page
from app.query.formats.documents import RowFormat, choose_format
from app.query.params.page import Window
from app.schema.columns import columns_of
from app.schema.decimals import plain_decimal


class Inner(msgspec.Struct):
    amount: Decimal
    label: str | None = None


class Everything(msgspec.Struct):
    flag: bool
    count: int
    ratio: float
    price: Decimal | None
    text: str
    raw: bytes
    at: Annotated[datetime, Meta(tz=True)]
    day: date
    clock: Annotated[time, Meta(tz=False)]
    tree: Any
    inner: Inner | None
    prices: list[Decimal]
    inners: list[Inner]
    names: list[str]


FORMAT = RowFormat(columns_of(Everything))


def _row() -> dict[str, Any]:
    return {
        "flag": True,
        "count": 2**53 + 1,
        "ratio": 0.1,
        "price": Decimal("1.500000000"),
        "text": 'é"\n',
        "raw": b"\x00\xff",
        "at": datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
        "day": date(2026, 1, 31),
        "clock": time(12, 30),
        "tree": msgspec.Raw(b'{"a":[1,null]}'),
        "inner": {"amount": Decimal("100.000000000"), "label": None},
        "prices": [Decimal("0E-9"), Decimal("-2.50")],
        "inners": [{"amount": Decimal("1E+2"), "label": "x"}],
        "names": ["a"],
    }


_EXPECTED = {
    "flag": True,
    "count": 2**53 + 1,
    "ratio": 0.1,
    "price": "1.5",
    "text": 'é"\n',
    "raw": "AP8=",
    "at": "2026-01-31T12:00:00.000001Z",
    "day": "2026-01-31",
    "clock": "12:30:00",
    "tree": {"a": [1, None]},
    "inner": {"amount": "100", "label": None},
    "prices": ["0", "-2.5"],
    "inners": [{"amount": "100", "label": "x"}],
    "names": ["a"],
}


def _page(*rows: dict[str, Any]) -> Page:
    return Page(rows=list(rows), next_cursor=None, resume_cursor="r", window=Window(0, 1_500_000), poll_after_s=1)


def test_values_of_every_kind_are_written_as_documented() -> None:
    """Instants in UTC, decimals in plain notation, bytes in base64, JSON as it is, and null for nothing."""
    assert msgspec.json.decode(FORMAT.record(_row())) == _EXPECTED
    empty = {**_row(), "price": None, "inner": None, "prices": [], "inners": []}
    expected = {**_EXPECTED, "price": None, "inner": None, "prices": [], "inners": []}
    assert msgspec.json.decode(FORMAT.record(empty)) == expected


def test_nested_fields_that_the_record_type_has_not_are_not_served() -> None:
    """Somebody else may have added them to the table; a column is named by the query, a field of a STRUCT is not."""
    inner, item = {"amount": Decimal(100), "label": None}, {"amount": Decimal(100), "label": "x"}
    added = {"inner": {"secret": 1} | inner, "inners": [item | {"secret": 1}]}
    assert msgspec.json.decode(FORMAT.record(_row() | added)) == _EXPECTED


def test_nested_fields_that_the_table_has_not_are_served_as_nothing() -> None:
    """As they will be in its old rows once they were added."""
    served = msgspec.json.decode(FORMAT.record(_row() | {"inner": {"amount": Decimal(100)}, "inners": [{}]}))
    assert served["inner"] == {"amount": "100", "label": None}
    assert served["inners"] == [{"amount": None, "label": None}]


def test_a_page_is_one_document() -> None:
    """Records, both cursors, the window and when to come back."""
    assert msgspec.json.decode(FORMAT.page(_page(_row()), "json")) == {
        "records": [_EXPECTED],
        "next_cursor": None,
        "resume_cursor": "r",
        "window": {"since": "1970-01-01T00:00:00Z", "until": "1970-01-01T00:00:01.500000Z"},
        "poll_after": 1,
    }


def test_ndjson_is_one_record_a_line() -> None:
    """Every line ends in a line feed, and an empty page is an empty body."""
    body = FORMAT.page(_page(_row(), _row()), "ndjson")
    assert body.endswith(b"\n")
    assert [msgspec.json.decode(line) for line in body.splitlines()] == [_EXPECTED, _EXPECTED]
    assert FORMAT.page(_page(), "ndjson") == b""


def test_versions_say_whether_they_are_all() -> None:
    """`complete` is false when there are more than one answer holds."""
    assert msgspec.json.decode(FORMAT.versions([_row()], complete=False)) == {
        "records": [_EXPECTED],
        "complete": False,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-9", "0.000000001"),
        ("12.340", "12.34"),
        ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
    ],
)
def test_a_decimal_is_written_in_plain_notation(value: str, expected: str) -> None:
    """No exponent, and no zeros that say nothing."""
    assert plain_decimal(Decimal(value)) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("application/x-ndjson", "ndjson"),
        ("application/ndjson", "ndjson"),
        ("Application/X-NDJSON; charset=utf-8", "ndjson"),
        ("application/json;q=0.5, application/x-ndjson;q=0.9", "ndjson"),
        ("application/x-ndjson;q=0.5, application/json", "json"),
        ("application/x-ndjson, */*", "ndjson"),
        ("*/*, application/x-ndjson", "ndjson"),
        ("application/x-ndjson;q=0.1, */*", "json"),
        ("application/x-ndjson;q=0", "json"),
        ("application/x-ndjson;q=much", "json"),
        ("application/x-ndjson;q=nan", "json"),
        ("text/html", "json"),
        ("text/html,application/*;q=0.8", "json"),
        (";;,,=", "json"),
    ],
)
def test_accept_chooses_the_format(accept: str, expected: str) -> None:
    """The most welcome of the formats there are; JSON where nothing fits."""
    assert choose_format(None, accept) == expected


def test_the_parameter_goes_before_accept() -> None:
    """`format` is explicit; a browser's Accept is not."""
    assert choose_format("json", "application/x-ndjson") == "json"
    assert choose_format("ndjson", "application/json") == "ndjson"
