"""Every error of a record: the decoder's first, then those that a field-by-field reading adds, within a budget."""

import copy
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from app.ingest.decode.faults import MAX_EXAMINED, MAX_FAULTS, FaultFinder, FieldFault
from app.schema.table import records_table
from app.schema.values import compile_checks
from tests.ingest.reading import LIMITS, read


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of an order."""

    sku: str
    amount: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        """Refuse what the type cannot say."""
        if self.sku == "none":
            raise ValueError("a line needs a product")


class Order(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A record with every kind of member that has errors of its own."""

    order_id: int
    placed: datetime
    total: Annotated[float, Meta(ge=0)] | None = None
    state: Literal["open", "paid"] = "open"
    lines: Annotated[list[Line], Meta(max_length=2)] = []
    codes: list[Annotated[str, Meta(max_length=3)]] = []
    address: Line | None = None
    more: dict[str, int] = {}

    def __post_init__(self) -> None:
        """Refuse what the types cannot say."""
        if self.order_id == 13:
            raise ValueError("thirteen is not an order")


TABLE = records_table(Order)
GOOD: dict[str, Any] = {
    "orderId": 1,
    "placed": "2026-01-31T12:00:00Z",
    "total": 1.5,
    "state": "open",
    "lines": [{"sku": "a", "amount": "1"}, {"sku": "b", "amount": "2"}],
    "codes": ["abc", "de"],
    "address": {"sku": "c", "amount": "3"},
    "more": {"a": 1},
}
_gone = object()
WRONG: dict[tuple[str | int, ...], list[Any]] = {
    ("orderId",): ["1", None, 2**63, 1.5, _gone],
    ("placed",): ["yesterday", 1.5, "2026-01-31T12:00:00", [], _gone],
    ("total",): [-1, "x", {}],
    ("state",): ["new", 1],
    ("lines", 0, "sku"): [1, "none", _gone],
    ("lines", 1, "amount"): ["x", [], "NaN", "0.0000000001"],
    ("lines", 1, "extra"): [1],
    ("codes", 0): [1, "abcd"],
    ("codes", 1): [None],
    ("address", "amount"): [True, "1e99"],
    ("address", "sku"): [_gone, {}],
    ("more",): [{"a": "x"}, [], {"a": 1, "b": None}],
    ("unknown",): [1],
}
DECODER, CHECK, FINDER = msgspec.json.Decoder(Order), compile_checks(TABLE.record), FaultFinder(Order, TABLE.record)


def first_fault(piece: bytes) -> FieldFault | None:
    """Return the error that the decoder of the whole record and the check of its columns give, None without one."""
    fault = FINDER._record._own(piece, "")
    if fault is not None:
        return fault
    unstorable = CHECK(DECODER.decode(piece))
    return None if unstorable is None else FieldFault(unstorable.path, f"{unstorable.path} {unstorable.reason}")


def changed(wrong: dict[tuple[str | int, ...], Any]) -> bytes:
    """Return the good record with these values at these paths."""
    record = copy.deepcopy(GOOD)
    for path, value in wrong.items():
        inner: Any = record
        for part in path[:-1]:
            inner = inner[part]
        if value is _gone:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
    return msgspec.json.encode(record)


@st.composite
def wrongs(draw: st.DrawFn) -> dict[tuple[str | int, ...], Any]:
    """Draw values that are wrong on their own, at some paths."""
    paths = draw(st.lists(st.sampled_from([*WRONG]), unique=True))
    return {path: draw(st.sampled_from(WRONG[path])) for path in paths}


@given(wrongs())
def test_the_errors_are_those_of_each_wrong_value_alone(wrong: dict[tuple[str | int, ...], Any]) -> None:
    """Several wrong values have the errors that the decoder gives for each alone; without any, there is no error."""
    piece = changed(wrong)
    found = [fault for fault in FINDER.find(piece) if fault is not None]
    assert set(found) == {first_fault(changed({path: value})) for path, value in wrong.items()}
    assert len(found) == len(wrong)
    assert (first_fault(piece) is None) == (not found)


@given(wrongs().filter(bool))
def test_the_first_error_is_the_decoders(wrong: dict[tuple[str | int, ...], Any]) -> None:
    """Whatever else is wrong, a reject begins with the decoder's own error, and names each once."""
    piece = changed(wrong)
    first = first_fault(piece)
    assert first is not None
    faults = FINDER.all_of(first, piece, iter(range(MAX_EXAMINED)))
    assert faults[0] == first
    assert len(set(faults)) == len(faults) == len(wrong)
    _, (reject,) = read(piece, Order)
    assert (reject.reason, reject.field, reject.raw) == ("invalid", first.field, piece)
    assert [fault[:2] for fault in reject.faults] == ([fault[:2] for fault in faults] if len(faults) > 1 else [])
    assert all(fault.detail in reject.detail for fault in faults)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "sku"]), inner, max_size=4),
        max_leaves=8,
    )
)
def test_a_record_decodes_if_and_only_if_no_error_is_found(value: Any) -> None:
    """For any JSON, the second opinion agrees with the decoder on whether there is an error, and has its error."""
    piece = msgspec.json.encode(value)
    first, found = first_fault(piece), [fault for fault in FINDER.find(piece) if fault is not None]
    assert (first is None) == (not found)
    assert first is None or first in found


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"orderId": 13, "state": 1}, ["state"]),
        ({"orderId": 13}, [None]),
        ({"lines": [{"sku": "a"}] * 3}, ["lines"]),
        ({"lines": [{"sku": "none"}, 1], "address": 1}, ["lines[0]", "lines[1]", "address"]),
        ({"codes": 1, "total": "x"}, ["total", "codes"]),
    ],
)
def test_a_types_own_code_runs_only_on_values_that_are_right(changes: dict[str, Any], fields: list[str | None]) -> None:
    """A Struct with wrong members has no error of its own, as its code never saw it; a list's length comes last."""
    found = [fault for fault in FINDER.find(msgspec.json.encode(GOOD | changes)) if fault is not None]
    assert [fault.field for fault in found] == fields


def test_a_record_has_at_most_twenty_errors() -> None:
    """The errors of one record are bounded, and the detail says that there may be more."""
    wrong = msgspec.json.encode(GOOD | {f"unknown{number}": 1 for number in range(3 * MAX_FAULTS)})
    limits = msgspec.structs.replace(LIMITS, max_record_bytes=10**6)
    _, (reject,) = read(wrong, Order, limits=limits)
    assert len(reject.faults) == MAX_FAULTS
    assert reject.detail.startswith("at least 20 errors: Object contains unknown field `unknown0`; ")


def test_the_values_examined_in_a_message_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the budget of its message, a record has only the error that the decoder gave."""
    monkeypatch.setattr("app.ingest.decode.reader.MAX_EXAMINED", 25)
    bad = b'{"orderId":"x","placed":1.5}'
    _, rejects = read(b"[" + b",".join([bad] * 20) + b"]", Order)
    assert len(rejects) == 20
    assert {each.field for each in rejects} == {"orderId"}
    assert [bool(each.faults) for each in rejects] == sorted((bool(each.faults) for each in rejects), reverse=True)
    assert 1 < sum(bool(each.faults) for each in rejects) < 20


def test_a_record_beyond_one_step_has_its_first_error_only() -> None:
    """A large record is not read a second time."""
    first = FieldFault("orderId", "wrong")
    piece = b'{"orderId":"x","codes":[' + b",".join([b"1"] * 70_000) + b"]}"
    assert FINDER.all_of(first, piece, iter(range(MAX_EXAMINED))) == (first,)
