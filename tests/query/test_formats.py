"""How rows become JSON: a page, a line, one record."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.query.answer.encoders import ServedRows, page_body
from app.query.request.parameters import Format
from app.query.request.scan import Page, Scan
from app.runtime.instants import TimeRange
from app.schema.columns import Column
from tests.query.sample_rows import COLUMNS, sample_row

FORMATS: tuple[Format, ...] = ("json", "ndjson", "csv", "arrow")


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


def _page(chosen: Format, *rows: dict[str, Any], columns: tuple[Column, ...] = COLUMNS) -> bytes:
    scan = Scan(table="t", window=TimeRange(0, 1_500_000), horizon_us=0, columns=columns, format=chosen)
    return page_body(Page(scan=scan, rows=[*rows]), 1)


def _record(row: dict[str, Any], columns: tuple[Column, ...] = COLUMNS) -> bytes:
    return msgspec.json.encode(ServedRows(columns).of([row])[0])


def test_values_of_every_kind_are_written_as_documented() -> None:
    """Instants in UTC, decimals in plain notation, bytes in base64, JSON as it is, and null for nothing."""
    assert msgspec.json.decode(_record(sample_row())) == _EXPECTED
    empty = {**sample_row(), "price": None, "inner": None, "prices": [], "inners": []}
    expected = {**_EXPECTED, "price": None, "inner": None, "prices": [], "inners": []}
    assert msgspec.json.decode(_record(empty)) == expected


def test_nested_fields_that_the_record_type_has_not_are_not_served() -> None:
    """Somebody else may have added them to the table; a column is named by the query, a field of a STRUCT is not."""
    inner, item = {"amount": Decimal(100), "label": None}, {"amount": Decimal(100), "label": "x"}
    added = {"inner": {"secret": 1} | inner, "inners": [item | {"secret": 1}]}
    assert msgspec.json.decode(_record(sample_row() | added)) == _EXPECTED


def test_nested_fields_that_the_table_has_not_are_served_as_nothing() -> None:
    """As they will be in its old rows once they were added."""
    served = msgspec.json.decode(_record(sample_row() | {"inner": {"amount": Decimal(100)}, "inners": [{}]}))
    assert served["inner"] == {"amount": "100", "label": None}
    assert served["inners"] == [{"amount": None, "label": None}]


@pytest.mark.parametrize(
    "odd", [{"flag": False, "count": 2}, {"count": 2, "flag": False}, {"flag": False, "count": 2, "delivery_key": "k"}]
)
def test_rows_that_need_no_conversion_are_served_in_the_columns_order(odd: dict[str, Any]) -> None:
    """Also where a single row of the page has a column more, or another order."""
    rows = [{"flag": True, "count": 1}, odd, {"flag": True, "count": 3}]
    body = _page("ndjson", *rows, columns=COLUMNS[:2])
    assert body == b'{"flag":true,"count":1}\n{"flag":false,"count":2}\n{"flag":true,"count":3}\n'


def test_ndjson_keeps_a_record_in_its_line() -> None:
    """A JSON column may hold line feeds as white space; within its strings they are escaped."""
    pretty = {**sample_row(), "tree": Raw(b'{\n  "a": [1,\r\n null]\n}')}
    body = _page("ndjson", pretty, sample_row())
    assert body.count(b"\n") == 2
    assert [msgspec.json.decode(line) for line in body.split(b"\n")[:-1]] == [_EXPECTED, _EXPECTED]
