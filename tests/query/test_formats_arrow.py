"""How rows become Arrow, read back by two readers that are not ours: nanoarrow's and DuckDB's."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import nanoarrow  # type: ignore[import-untyped]
import pytest

from app.query.answer.arrow import ArrowRows
from app.query.answer.encoders import row_encoder
from app.runtime.instants import MAX_US, MIN_US
from app.schema.columns import Column
from tests.query.sample_rows import COLUMNS, sample_row


def written(columns: tuple[Column, ...], *batches: list[dict[str, Any]]) -> bytes:
    """Return the whole stream of some batches of rows."""
    encoder = row_encoder("arrow", columns)
    return b"".join([encoder.begin(), *map(encoder.encode, batches), encoder.end()])


def decoded(columns: tuple[Column, ...], *batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as our own reader reads them."""
    return [row for rows in ArrowRows(columns).row_lists(written(columns, *batches)) for row in rows]


def one(name: str) -> tuple[Column, ...]:
    """Return one column of the sample."""
    return tuple(column for column in COLUMNS if column.name == name)


def test_every_kind_has_the_type_that_exports_have() -> None:
    """And only what may be null is said to be nullable."""
    schema = nanoarrow.ArrayStream.from_readable(written(COLUMNS)).schema
    types = {field.name: (nanoarrow.c_schema(field).format, field.nullable) for field in schema.fields}
    assert types == {
        "flag": ("b", False),
        "count": ("l", False),
        "ratio": ("g", False),
        "price": ("d:38,9", True),
        "text": ("u", False),
        "raw": ("z", False),
        "at": ("tsu:UTC", False),
        "day": ("tdD", False),
        "clock": ("ttu", False),
        "tree": ("u", True),
        "inner": ("+s", True),
        "prices": ("+l", False),
        "inners": ("+l", False),
        "names": ("+l", False),
    }
    inner = next(field for field in schema.fields if field.name == "inner")
    assert {field.name: field.nullable for field in inner.fields} == {"amount": False, "label": True}
    inners = next(field for field in schema.fields if field.name == "inners")
    assert not inners.value_type.nullable


def test_duckdb_reads_the_stream() -> None:
    """With its own types, and nulls of each kind where there are some."""
    rows = [sample_row() | {"price": None, "inner": None, "tree": None, "names": []}, sample_row()]
    array = nanoarrow.ArrayStream.from_readable(written(COLUMNS, rows)).read_all()
    found = duckdb.connect().from_arrow(array)
    assert [str(type_) for type_ in found.types] == [
        *("BOOLEAN", "BIGINT", "DOUBLE", "DECIMAL(38,9)", "VARCHAR", "BLOB", "TIMESTAMP WITH TIME ZONE", "DATE"),
        *("TIME", "VARCHAR", 'STRUCT(amount DECIMAL(38,9), "label" VARCHAR)', "DECIMAL(38,9)[]"),
        *('STRUCT(amount DECIMAL(38,9), "label" VARCHAR)[]', "VARCHAR[]"),
    ]
    served = found.project('price, "inner", tree, names, prices, inners').fetchall()
    prices, inners = sample_row()["prices"], sample_row()["inners"]
    assert served[0] == (None, None, None, [], prices, inners)
    assert served[1] == (Decimal("1.5"), sample_row()["inner"], '{"a":[1,null]}', ["a"], prices, inners)


@pytest.mark.parametrize(
    ("beyond", "nearest_us"),
    [
        ("10000-01-01 00:00:00", MAX_US),
        ("0044-03-15 (BC) 00:00:00", MIN_US),
        ("infinity", MAX_US),
        ("-infinity", MIN_US),
    ],
)
def test_an_instant_beyond_pythons_years_is_the_nearest_one(beyond: str, nearest_us: int) -> None:
    """The store hands it out as text, for which the type has no place."""
    stream = nanoarrow.ArrayStream.from_readable(written(one("at"), [{"at": beyond}]))
    (array,) = stream
    assert nanoarrow.c_array(array).view().child(0).buffer(1).element(0) == nearest_us
    assert decoded(one("at"), [{"at": beyond}]) == [
        {"at": datetime.max.replace(tzinfo=UTC) if nearest_us > 0 else datetime.min.replace(tzinfo=UTC)}
    ]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("1e30", "99999999999999999999999999999.999999999"),
        ("-1e38", "-99999999999999999999999999999.999999999"),
        ("0.00000000049", "0"),
        ("-1.0000000006", "-1.000000001"),
        ("12345678901234567890123456789.123456789", "12345678901234567890123456789.123456789"),
    ],
)
def test_a_decimal_that_a_numeric_cannot_hold_is_the_nearest_one(stored: str, expected: str) -> None:
    """A column that somebody widened to BIGNUMERIC does not cost the page."""
    assert decoded(one("price"), [{"price": Decimal(stored)}]) == [{"price": Decimal(expected)}]
