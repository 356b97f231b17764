"""What JSON costs, estimated before it is decoded: each fast count against a slow twin that reads byte by byte."""

import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode import weight as decoding_cost
from app.ingest.decode.weight import has_typed_lists, is_deeper, list_weight, weight
from app.schema.table import records_table
from tests.ingest.reading import finish

_PLENTY = 10**9
_TEXT = st.text(alphabet='ab\\",[]{}:e0é\n', max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1_000, 1_000) | _TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=40,
)


def slow_weight(text: bytes) -> int:
    """Return how many commas, colons and opening brackets stand outside of strings, one byte after the other."""
    found, inside, escaped = 0, False, False
    for byte in text:
        if inside:
            escaped, inside = byte == ord("\\") and not escaped, escaped or byte != ord('"')
        else:
            inside = byte == ord('"')
            found += byte in b",:[{"
    return found


def slow_depth(value: Any) -> int:
    """Return how deep containers are nested in a value."""
    if not isinstance(value, list | dict):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(slow_depth, inner), default=0)


@given(_JSON, st.integers(1, 9))
def test_the_weight_is_the_structure_outside_of_strings(value: Any, chunk: int) -> None:
    """However the text falls into chunks: in the middle of a string, of an escape, or of a run of backslashes."""
    text = msgspec.json.encode(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding_cost, "_CHUNK_BYTES", chunk)
        exact = finish(decoding_cost._weight_outside_strings(text, _PLENTY))
        bound = finish(weight(text, _PLENTY))
    assert exact == slow_weight(text)
    assert bound >= exact


@given(_JSON, st.integers(0, 40))
def test_more_than_is_allowed_is_found_and_nothing_else(value: Any, most: int) -> None:
    """Strings full of brackets and commas make nobody's message too complex."""
    text = msgspec.json.encode(value)
    assert (finish(weight(bytearray(text), most)) > most) == (slow_weight(text) > most)


@given(st.binary(max_size=60), st.integers(0, 20), st.integers(1, 9))
def test_any_bytes_can_be_weighed(text: bytes, most: int, chunk: int) -> None:
    """What is not JSON has a weight too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding_cost, "_CHUNK_BYTES", chunk)
        assert finish(weight(text, most)) >= 0


def test_weighing_stops_where_it_is_certain() -> None:
    """The rest of 32 MiB is not looked at."""
    steps = list[int]()
    assert finish(weight(b"[" * 2**25, 1_000_000), steps) > 1_000_000
    assert len(steps) < 12


@pytest.mark.parametrize(
    ("number", "least"),
    [(b"1e308", 120), (b"1E+308", 120), (b"5e-324", 120), (b"1e23", 3), (b"7" * 4_000, 4_000), (b"12.5", 1)],
)
def test_numbers_that_take_long_to_read_weigh_more(number: bytes, least: int) -> None:
    """Those near the largest and the smallest double take a hundred times as long; long integers grow quadratically."""
    text = b"[" + b",".join([number] * 100) + b"]"
    assert finish(weight(text, _PLENTY)) >= least * 100
    assert finish(weight(b'["' + text + b'"]', 1)) <= 1


@given(_JSON, st.integers(0, 8))
def test_depth_is_what_decoding_would_find(value: Any, levels: int) -> None:
    """Brackets inside strings are no levels."""
    assert is_deeper(msgspec.json.encode(value), levels) == (slow_depth(value) > levels)


def test_depth_is_known_of_what_no_decoder_could_follow() -> None:
    """It takes neither recursion nor a step for each level."""
    assert is_deeper(b"[" * 2_000_000, 500)
    assert not is_deeper(b'["' + b"[" * 2_000_000 + b'"]', 500)
    assert not is_deeper(b"[],{}" * 400_000, 500)


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of an order."""

    price: Decimal
    discounts: list[Decimal] = []


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """Lists whose items Python looks at, and others."""

    lines: list[Line] = []
    keys: list[uuid.UUID] = []
    words: list[str] = []
    best: Line | None = None
    data: Any = None


class Words(msgspec.Struct, forbid_unknown_fields=True):
    """Lists that the decoder and the encoder handle alone."""

    words: list[str] = []
    numbers: list[float] = []
    data: Any = None


def test_items_of_typed_lists_weigh_what_python_makes_of_them() -> None:
    """Lists within lists too; what is plain JSON is weighed by its text alone."""
    columns = records_table(Order).record
    line = Line(Decimal(1), [Decimal(2), Decimal(3)])
    order = Order(lines=[line, Line(Decimal(1))], keys=[uuid.UUID(int=1)], words=["a"] * 99, best=line, data=[1] * 99)
    assert list_weight(columns, order) == 2 * 16 + 2 * 25 + 16 + 2 * 25
    assert has_typed_lists(columns)
    assert not has_typed_lists(records_table(Words).record)
