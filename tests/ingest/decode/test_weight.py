"""What JSON costs, estimated before it is decoded."""

import random
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.payload import SURELY_LIGHT_BYTES, is_deeper, is_light, value_weight
from app.schema.table import records_table

SIZE = 128 * 1024
_TEXT = st.text(alphabet='ab\\",[]{}:e0é\n', max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1_000, 1_000) | _TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=40,
)


@pytest.fixture(autouse=True)
def same_windows() -> None:
    """Let the windows be the same in every run: those of one run in some hundreds show a heavy start thrice."""
    random.seed(20)


def slow_depth(value: Any) -> int:
    """Return how deep containers are nested in a value."""
    if not isinstance(value, list | dict):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(slow_depth, inner), default=0)


@pytest.mark.parametrize(
    "unit",
    [b"1e308,", b"1E+308,", b"5e-324,", b"0.1e0000308,", b'{"a":[]},'],
    ids=["large", "signed", "small", "zeros", "objects"],
)
def test_what_takes_long_to_read_is_heavy(unit: bytes) -> None:
    """In 128 KiB of it; little of it is light, wherever it stands."""
    heavy = b"[" + unit * (SIZE // len(unit)) + b"1]"
    assert not any(is_light(heavy, 1) for _ in range(100))
    assert is_light(heavy[:SURELY_LIGHT_BYTES], 1)
    assert all(is_light(b"[" + unit * 20 + b'"' + b"x" * SIZE + b'"]', 1) for _ in range(100))


@pytest.mark.parametrize(
    "unit",
    [b"12.5,", b"[],", b'"2026-01-31T12:00:00.000123Z","a1e3f000-77aa",', b"1e-7,1.5e10,", b"7" * 4_000 + b","],
    ids=["numbers", "lists", "texts", "exponents", "digits"],
)
def test_ordinary_values_are_light(unit: bytes) -> None:
    """However many there are in 128 KiB; in a type whose values Python looks at, so many are heavy."""
    text = b"[" + unit * (SIZE // len(unit)) + b"1]"
    assert all(is_light(text, 1) for _ in range(100))
    if len(unit) < 10:
        assert not any(is_light(text, 40) for _ in range(100))


def test_types_weigh_what_their_heaviest_values_do() -> None:
    """Those of lists, within lists too; undeclared members weigh most, as Python code moves or counts each."""
    orders, words = records_table(Order).record, records_table(Words).record
    assert value_weight(orders, counts_undeclared=False) == 25
    assert (value_weight(words, counts_undeclared=False), value_weight(words, counts_undeclared=True)) == (1, 40)


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
