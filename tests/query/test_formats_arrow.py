"""How rows become Arrow, read back by two readers that are not ours: nanoarrow's and DuckDB's."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import nanoarrow  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.answer.encoders import row_encoder
from app.query.read.arrow_rows import ArrowRows
from app.runtime.instants import MAX_US, MIN_US
from app.schema.columns import Column
from app.stores.source import END_OF_STREAM
from tests.query.sample_rows import COLUMNS, DEEP_COLUMNS, as_declared, rows_of, sample_row


def written(columns: tuple[Column, ...], *batches: list[dict[str, Any]]) -> bytes:
    """Return the whole stream of some batches of rows."""
    encoder = row_encoder("arrow", columns)
    return b"".join([encoder.begin(), *map(encoder.rows, batches), encoder.end()])


def decoded(columns: tuple[Column, ...], *batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as our own reader reads them."""
    return [row for rows in ArrowRows(columns).read(written(columns, *batches)) for row in rows]


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


def test_other_readers_read_the_values() -> None:
    """What nanoarrow gives of a row is what was stored; JSON is its text."""
    row = sample_row() | {"prices": [Decimal(0)]}  # its Python reader takes negative decimals for huge ones
    found = nanoarrow.ArrayStream.from_readable(written(COLUMNS, [row])).read_all().to_pylist()
    assert found == [row | {"tree": '{"a":[1,null]}'}]


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


@given(st.lists(rows_of(DEEP_COLUMNS), min_size=1, max_size=4))
def test_nanoarrow_reads_what_is_written(rows: list[dict[str, Any]]) -> None:
    """The buffers are as the specification says, not only as our reader understands it."""
    array = nanoarrow.ArrayStream.from_readable(written(DEEP_COLUMNS, rows)).read_all()
    plain = ("flag", "count", "text", "raw", "at", "day", "clock", "flags", "days")
    expected = [as_declared(DEEP_COLUMNS, row) for row in rows]
    for found, row in zip(array.to_pylist(), expected, strict=True):
        assert {name: found[name] for name in plain} == {name: row[name] for name in plain}


def test_pieces_are_whole_messages() -> None:
    """The schema, a batch for each list of rows, none for an empty one, and the mark of the end."""
    encoder = row_encoder("arrow", COLUMNS)
    assert nanoarrow.ArrayStream.from_readable(encoder.begin() + encoder.end()).read_all().to_pylist() == []
    assert encoder.rows([]) == b""
    assert encoder.end() == END_OF_STREAM
    assert encoder.rows([sample_row()]) == encoder.rows([sample_row()])


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


def test_a_date_beyond_pythons_years_is_the_nearest_one() -> None:
    """As an instant is."""
    rows = [{"day": "10000-01-01"}, {"day": "0001-01-01 (BC)"}]
    assert decoded(one("day"), rows) == [{"day": date.max}, {"day": date.min}]


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


def test_what_is_no_number_stays_so() -> None:
    """Arrow has NaN and the infinities, which JSON has not."""
    nan, infinity = (row["ratio"] for row in decoded(one("ratio"), [{"ratio": float("nan")}, {"ratio": float("-inf")}]))
    assert nan != nan  # noqa: PLR0124 - which is what NaN is known by
    assert infinity == float("-inf")


def test_a_null_struct_holds_nothing_that_its_fields_forbid() -> None:
    """Strict readers hold a required field to its word even where the STRUCT around it is null."""
    (array,) = nanoarrow.ArrayStream.from_readable(written(one("inner"), [{"inner": None}, sample_row()]))
    inner = nanoarrow.c_array(array).view().child(0)
    assert (inner.null_count, inner.child(0).null_count) == (1, 0)
