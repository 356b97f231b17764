"""Every type a record may have, with values that have caught stores out; and record types made of them at random."""

import enum
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from hypothesis import strategies as st
from msgspec import Meta

from app.schema.columns import INT64_MAX, INT64_MIN, Kind


class Colour(enum.Enum):
    """An Enum of text."""

    RED = "red"
    NONE = ""
    QUOTED = 'it\'s "so"'


class Level(enum.IntEnum):
    """An Enum of numbers."""

    LOW = -(2**63)
    ZERO = 0
    HIGH = 2**63 - 1


class Sample(NamedTuple):
    """A type, the column it becomes, and values of it."""

    annotation: Any
    kind: Kind
    values: st.SearchStrategy[Any]


def _numeric() -> st.SearchStrategy[Decimal]:
    """Return exact decimals of up to 29 digits before the point and 9 after it: BigQuery's NUMERIC."""
    largest = 10**38 - 1

    def decimal(scaled: int) -> Decimal:
        return Decimal((int(scaled < 0), tuple(map(int, str(abs(scaled)))), -9))

    return st.one_of(st.integers(-largest, largest), st.sampled_from([largest, -largest, 1, 0])).map(decimal)


def _instants() -> st.SearchStrategy[datetime]:
    """Return instants of the years 1 to 9999, under offsets of whole minutes."""
    offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    edges = st.sampled_from(
        [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
    )
    return st.one_of(st.datetimes(timezones=offsets).filter(_exists_in_utc), edges)


def _exists_in_utc(value: datetime) -> bool:
    try:
        value.astimezone(UTC)
    except OverflowError:
        return False
    return True


FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 5e-324, 1e308, 0.1, 2.0**53 + 2])
)
TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["", "\0", "a\0b", "𝄞🎈", "null", '"', "\\", "\u2028", "'; --"])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
SAMPLES: dict[str, Sample] = {
    "bool": Sample(bool, Kind.BOOL, st.booleans()),
    "int": Sample(
        int, Kind.INT64, st.integers(INT64_MIN, INT64_MAX) | st.sampled_from([INT64_MIN, INT64_MAX, 2**53 + 1])
    ),
    "constrained_int": Sample(Annotated[int, Meta(ge=0, le=255)], Kind.INT64, st.integers(0, 255)),
    "float": Sample(float, Kind.FLOAT64, FLOATS),
    "decimal": Sample(Decimal, Kind.NUMERIC, _numeric()),
    "str": Sample(str, Kind.STRING, TEXTS),
    "constrained_str": Sample(
        Annotated[str, Meta(min_length=1, max_length=8, pattern="^[a-z]+$", examples=["abc"])],
        Kind.STRING,
        st.text("abcdefz", min_size=1, max_size=8),
    ),
    "bytes": Sample(bytes, Kind.BYTES, st.binary(max_size=12)),
    "instant": Sample(Annotated[datetime, Meta(tz=True)], Kind.TIMESTAMP, _instants()),
    "date": Sample(date, Kind.DATE, st.dates()),
    "time": Sample(time, Kind.TIME, st.times()),
    "uuid": Sample(uuid.UUID, Kind.STRING, st.uuids()),
    "str_enum": Sample(Colour, Kind.STRING, st.sampled_from(Colour)),
    "int_enum": Sample(Level, Kind.INT64, st.sampled_from(Level)),
    "str_literal": Sample(Literal["a", "b"], Kind.STRING, st.sampled_from(["a", "b"])),
    "int_literal": Sample(Literal[1, 2], Kind.INT64, st.sampled_from([1, 2])),
    "any": Sample(Any, Kind.JSON, JSON),
    "dict": Sample(dict[str, Any], Kind.JSON, st.dictionaries(TEXTS, JSON, max_size=3)),
    "dict_of_lists": Sample(
        dict[str, list[int]], Kind.JSON, st.dictionaries(TEXTS, st.lists(st.integers(0, 9), max_size=2), max_size=2)
    ),
}


Field = tuple[str, Any, st.SearchStrategy[Any]]
_NO_LIST_OF = {"any"}  # it may be null, which no list may hold
# Names that mean something where the rows are written: in the SQL of the INSERT, or in the protobuf descriptor.
_NAMES = ["r", "v0", "v1", "rows", "row", "select", "order", "ingest_us", "Struct1", "Struct2", "item", "_", "x", "Y9"]


def struct_of(name: str, fields: list[Field]) -> type[msgspec.Struct]:
    """Return a Struct of `fields`, which are required unless their type takes None."""
    return msgspec.defstruct(
        name, [(field, annotation) for field, annotation, _ in fields], kw_only=True, forbid_unknown_fields=True
    )


def instances(struct: type[msgspec.Struct], fields: list[Field]) -> st.SearchStrategy[msgspec.Struct]:
    """Return values of `struct`."""
    return st.builds(struct, **{field: values for field, _, values in fields})


def forms_of(names: Iterable[str]) -> list[Field]:
    """Return fields of these types of SAMPLES, each alone, Optional, and in a list."""
    found: list[Field] = []
    for name in names:
        annotation, _, values = SAMPLES[name]
        found.append((name, annotation, values))
        found.append((f"{name}_or_none", annotation | None, st.none() | values))
        if name not in _NO_LIST_OF:
            found.append((f"{name}_list", list[annotation], st.lists(values, max_size=3)))  # type: ignore[valid-type] # made at run time
    return found


def every_form() -> list[Field]:
    """Return a field of every type in every form."""
    return forms_of(SAMPLES)


@st.composite
def field_lists(draw: Callable[..., Any], depth: int = 3) -> list[Field]:
    """Return the fields of a random Struct, which may hold further Structs."""
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4, unique_by=str.lower))
    return [(name, *draw(_types(depth))) for name in names]


@st.composite
def _types(draw: Callable[..., Any], depth: int) -> tuple[Any, st.SearchStrategy[Any]]:
    if depth and draw(st.integers(0, 2)) == 0:
        fields = draw(field_lists(depth - 1))
        annotation: Any = struct_of("Inner", fields)
        values: st.SearchStrategy[Any] = instances(annotation, fields)
        may_be_listed = True
    else:
        name = draw(st.sampled_from(sorted(SAMPLES)))
        annotation, _, values = SAMPLES[name]
        may_be_listed = name not in _NO_LIST_OF
    form = draw(st.sampled_from(["alone", "optional", "list"]))
    if form == "optional":
        return annotation | None, st.none() | values
    if form == "list" and may_be_listed:
        return list[annotation], st.lists(values, max_size=3)
    return annotation, values
