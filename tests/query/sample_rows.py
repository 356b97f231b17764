"""A record type with a column of every kind, one row of it, and Hypothesis's rows of any columns."""

from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from typing import Annotated, Any

import msgspec
from hypothesis import strategies as st
from msgspec import Meta, Raw

from app.schema.columns import INT64_MAX, INT64_MIN, Column, Kind, Mode, columns_of


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    amount: Decimal
    label: str | None = None


class Everything(msgspec.Struct, forbid_unknown_fields=True):
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


class Deep(msgspec.Struct, forbid_unknown_fields=True):
    """What `Everything` lacks: each kind nullable, in lists, and STRUCTs within STRUCTs."""

    whole: Everything | None
    wholes: list[Everything]
    flag: bool | None = None
    count: int | None = None
    ratio: float | None = None
    text: str | None = None
    raw: bytes | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    day: date | None = None
    clock: Annotated[time, Meta(tz=False)] | None = None
    trees: list[dict[str, Any]] = []
    flags: list[bool] = []
    days: list[date] = []


COLUMNS = columns_of(Everything)
DEEP_COLUMNS = columns_of(Deep)
_MAX_BILLIONTHS = 10**38 - 1  # of a NUMERIC
_exact = Context(prec=38)


def sample_row() -> dict[str, Any]:
    """Return a row as a QueryRunner does."""
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
        "tree": Raw(b'{"a":[1,null]}'),
        "inner": {"amount": Decimal("100.000000000"), "label": None},
        "prices": [Decimal("0E-9"), Decimal("-2.50")],
        "inners": [{"amount": Decimal("1E+2"), "label": "x"}],
        "names": ["a"],
    }


def rows_of(columns: tuple[Column, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return the strategy of rows as a QueryRunner has them, with more columns than are served."""
    served = {column.name: _values(column) for column in columns}
    return st.fixed_dictionaries(served | {"ingest_time": st.just(datetime(2026, 1, 1, tzinfo=UTC))})


def _values(column: Column) -> st.SearchStrategy[Any]:
    items = _structs(column.fields) if column.kind is Kind.STRUCT else _ITEMS[column.kind]
    match column.mode:
        case Mode.REPEATED:
            return st.lists(items, max_size=3)
        case Mode.NULLABLE:
            return st.none() | items
        case _:
            return items


def _structs(fields: tuple[Column, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return the strategy of STRUCTs: fields that may be null may be missing, and others than the declared be there."""
    always = {field.name: _values(field) for field in fields if field.mode is Mode.REQUIRED}
    perhaps = {field.name: _values(field) for field in fields if field.mode is not Mode.REQUIRED}
    return st.fixed_dictionaries(always, optional=perhaps | {"added_by_others": st.integers()})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(INT64_MIN, INT64_MAX) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
_ITEMS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.BOOL: st.booleans(),
    Kind.INT64: st.integers(INT64_MIN, INT64_MAX),
    Kind.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    Kind.NUMERIC: st.integers(-_MAX_BILLIONTHS, _MAX_BILLIONTHS).map(lambda count: Decimal(count).scaleb(-9, _exact)),
    Kind.STRING: st.text(),
    Kind.BYTES: st.binary(),
    Kind.TIMESTAMP: st.datetimes(timezones=st.just(UTC)),
    Kind.DATE: st.dates(),
    Kind.TIME: st.times(),
    # As a producer may have written it: with white space, line feeds among it.
    Kind.JSON: st.builds(
        lambda value, indent: Raw(msgspec.json.format(msgspec.json.encode(value), indent=indent)),
        _JSON,
        st.sampled_from([-1, 0, 2]),
    ),
}
