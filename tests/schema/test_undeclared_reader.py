"""Undeclared members in records given as JSON: counted, kept in the rest, and nothing else."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schema.undeclared_members import RestError, UndeclaredReader, undeclared_reader

_Rest = Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest"]})]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Rejects what it does not declare."""

    a: int = 0


class Dropping(msgspec.Struct):
    """Drops what it does not declare."""

    undeclared: ClassVar = "drop"
    a: int = 0


class Extended(Dropping, rename="camel"):
    """Inherits the word, and has a Struct of each form."""

    unit_price: Decimal = Decimal(0)
    one: Dropping | None = None
    strict: Strict | None = None
    lines: list[Annotated[Dropping, msgspec.Meta(description="A line.")]] = []
    payload: dict[str, Any] = {}


class Carrying(msgspec.Struct, forbid_unknown_fields=True):
    """Drops nothing itself; a Struct inside of it does."""

    lines: list[Dropping] = []


class Leg(msgspec.Struct, rename="camel"):
    """Drops, with classes of its own that drop."""

    undeclared: ClassVar = "drop"
    flown_to: Dropping | None = None
    via: list[Dropping] = []


class Order(msgspec.Struct, rename={"id": "key"}, frozen=True):
    """Keeps what it does not declare itself."""

    id: Any = None
    price: Decimal | None = None
    leg: Leg | None = None
    legs: list[Leg] = []
    strict: Strict | None = None
    payload: dict[str, Any] = {}
    rest: _Rest = {}


def reader_of(record_type: type[msgspec.Struct]) -> UndeclaredReader:
    """Return the reader of a type that has one."""
    reader = undeclared_reader(record_type)
    assert reader is not None
    return reader


ORDERS = reader_of(Order)


def dropped(record_type: Any, data: bytes) -> int:
    """Return how many members of a record are dropped."""
    return reader_of(record_type).take(msgspec.json.decode(data, type=record_type), data)["dropped"]


def kept(data: bytes) -> Any:
    """Return the rest of an order."""
    order = msgspec.json.decode(data, type=Order)
    ORDERS.take(order, data)
    return order.rest


def test_a_number_that_only_its_field_could_read_is_no_obstacle() -> None:
    """A Decimal beyond a float's range, and an undeclared number beyond any that is dropped."""
    data = b'{"unitPrice":1e999,"huge":1e9999,"lines":[{"x":1e9999}]}'
    assert dropped(Extended, data) == 2
    assert kept(b'{"price":1e999,"x":1}') == {"x": 1}


def test_a_type_that_rejects_everything_is_not_looked_at() -> None:
    """Looking costs only the types that keep or drop."""
    assert undeclared_reader(Strict) is None
    assert dropped(Carrying, b'{"lines":[{"b":1}]}') == 1


_CASES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "an escaped name": (b'{"\\u006bey":1,"\\u0078":2}', {"x": 2}),
    "dropped in nested classes": (b'{"leg":{"x":1},"legs":[{"via":[{"y":1}]}],"c":2,"leg.x":3}', {"c": 2, "leg.x": 3}),
    "the last of two members": (b'{"x":1,"x":2}', {"x": 2}),
    "an integer beyond 64 bits": (b'{"x":123456789012345678901234567890}', {"x": 123456789012345678901234567890}),
}


@pytest.mark.parametrize(("data", "rest"), _CASES.values(), ids=[*_CASES])
def test_the_rest_has_each_undeclared_member_where_it_was_sent(data: bytes, rest: dict[str, Any]) -> None:
    """One record alone, and in an array among others, by the same reader."""
    assert kept(data) == rest
    payload = b"[{}, %b ,%b]" % (data, data)
    orders = msgspec.json.decode(payload, type=list[Order])
    taken = ORDERS.take_all(orders, payload)
    assert [order.rest for order in orders] == [{}, rest, rest]
    assert taken["kept"] == 2 * len(rest)


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b'{"x":{"y":1e999}}', RestError, r"Number out of range - at `\$\.x`"),
        (b'{"x":"\xff"}', UnicodeDecodeError, "utf-8"),
        (b'{"\xff":1}', UnicodeDecodeError, "utf-8"),
        (b'{"rest":{"x":1}}', RestError, "^rest is filled by the service"),
    ],
)
def test_what_no_rest_can_hold_is_an_error(data: bytes, error: type[Exception], text: str) -> None:
    """As it would be in a declared JSON column; the name of the rest is the service's own."""
    with pytest.raises(error, match=text):
        kept(data)
    payload = b"[{},%b]" % data
    orders = msgspec.json.decode(payload, type=list[Order])
    with pytest.raises(error, match=text):
        ORDERS.take_all(orders, payload)


_SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", 0.5, '"', "\u2028"])
_JSON: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_MORE = st.dictionaries(st.sampled_from(["x", "leg.x", "id", "flown_to", "", "a b", "[0]"]), _JSON, max_size=2)


def _with(more: st.SearchStrategy[dict[str, Any]], **declared: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects with some of the declared members and some others."""
    return st.builds(lambda known, other: {**other, **known}, st.fixed_dictionaries({}, optional=declared), more)


_DROPPING = _with(_MORE, a=st.integers(0, 2))
_LEGS = _with(_MORE, flownTo=st.none() | _DROPPING, via=st.lists(_DROPPING, max_size=3))
_ORDERS = _with(
    _MORE,
    key=_JSON,
    leg=st.none() | _LEGS,
    legs=st.lists(_LEGS, max_size=3),
    payload=st.dictionaries(st.text(max_size=3), _JSON, max_size=2),
)
_DECLARED: dict[str, Any] = {
    "": {"key": "", "leg": "leg", "legs": "leg", "payload": "", "price": "", "strict": "", "rest": ""},
    "leg": {"flownTo": "dropping", "via": "dropping"},
    "dropping": {"a": ""},
}
"""Of each class, its members, and the class of their values."""


def _undeclared(sent: Any, of: str) -> int:
    """Count the undeclared members, by a plain walk."""
    if isinstance(sent, list):
        return sum(_undeclared(item, of) for item in sent)
    found = 0
    for name, value in (sent or {}).items():
        if name not in _DECLARED[of]:
            found += 1
        elif _DECLARED[of][name]:
            found += _undeclared(value, _DECLARED[of][name])
    return found


@given(_ORDERS)
def test_the_columns_and_the_rest_hold_what_was_sent(sent: dict[str, Any]) -> None:
    """The rest is what the record itself does not declare; every undeclared member is counted once."""
    data = msgspec.json.encode(sent)
    order = msgspec.json.decode(data, type=Order)
    undeclared = ORDERS.take(order, data)
    assert order.rest == {name: value for name, value in sent.items() if name not in _DECLARED[""]}
    stored = msgspec.to_builtins(order)
    types: dict[str, Any] = {"leg": Leg | None, "legs": list[Leg]}
    for name in sent.keys() & _DECLARED[""]:
        expected = sent[name]
        if name in types:  # with the defaults of absent members
            expected = msgspec.to_builtins(msgspec.convert(expected, types[name]))
        assert stored[name] == expected
    assert (undeclared["kept"], undeclared.total()) == (len(order.rest), _undeclared(sent, ""))
