"""The rest of a record: split off, merged again, and the text of its paths."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schema.columns import Column, Kind, Mode
from app.schema.rest import MergeConflictError, Path, merge, path_text, split

NAMES = st.sampled_from(["a", "b", "c", "a.b", "a[0]", "[0]", ""])
SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x", 1.5])
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=5)


def column(name: str, fields: tuple[Column, ...] = (), mode: Mode = Mode.NULLABLE) -> Column:
    """Return a column: a STRUCT if it has fields, else text."""
    return Column(name=name, attribute=name, kind=Kind.STRUCT if fields else Kind.STRING, mode=mode, fields=fields)


def _columns(inner: st.SearchStrategy[tuple[Column, ...]]) -> st.SearchStrategy[tuple[Column, ...]]:
    one = st.builds(column, NAMES, inner, st.sampled_from([Mode.NULLABLE, Mode.REPEATED]))
    return st.lists(one, max_size=3, unique_by=lambda each: each.name).map(tuple)


COLUMNS: st.SearchStrategy[tuple[Column, ...]] = st.recursive(st.just(()), _columns, max_leaves=6)
STOP = column("stops", (column("at"),), Mode.REPEATED)
LEG = column("leg", (column("to"), column("by", (column("code"),))))
ORDER = (column("id"), LEG, STOP)


@given(OBJECTS, COLUMNS)
def test_both_parts_together_are_what_was_sent(members: dict[str, Any], columns: tuple[Column, ...]) -> None:
    """Whatever the names and the columns; neither part has a member of the other, and a second split finds nothing."""
    declared, rest = split(members, columns)
    assert merge(declared, rest) == merge(rest, declared) == members
    assert split(declared, columns) == (declared, {})
    assert split(rest, columns)[1] == rest


@given(OBJECTS, COLUMNS, COLUMNS)
def test_what_rides_in_a_rest_comes_out_of_it(
    members: dict[str, Any], columns: tuple[Column, ...], later: tuple[Column, ...]
) -> None:
    """A rest that also carries the values of other columns yields them, and is the rest again."""
    _, rest = split(members, columns)
    values, remaining = split(rest, later)
    assert merge(remaining, values) == rest


@pytest.mark.parametrize(
    ("members", "rest"),
    [
        ({"id": "1"}, {}),
        ({"id": "1", "colour": "red"}, {"colour": "red"}),
        ({"leg": {"to": "AMS", "gate": 5}}, {"leg": {"gate": 5}}),
        ({"leg": {"by": {"code": "KL", "x": None}}}, {"leg": {"by": {"x": None}}}),
        ({"leg": {"gate": 5}, "leg.gate": 6}, {"leg": {"gate": 5}, "leg.gate": 6}),
        ({"leg": None, "stops": []}, {}),
        ({"stops": [{"at": "CDG"}, {"x": 1}, {"at": "LHR"}]}, {"stops": [{}, {"x": 1}]}),
    ],
)
def test_a_rest_has_the_shape_of_its_record(members: dict[str, Any], rest: dict[str, Any]) -> None:
    """A member is where it was sent; a dot in a name means nothing."""
    assert split(members, ORDER)[1] == rest


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": 1}, {"a": True}, "a"),
        ({"a": {"b": [{}, {"c": 1}]}}, {"a": {"b": [{}, {"c": 2}]}}, "a.b[1].c"),
        ({"a": {"b": 1}}, {"a": [1]}, "a"),
    ],
)
def test_nothing_is_overwritten(first: dict[str, Any], second: dict[str, Any], path: str) -> None:
    """Two values in one place are an error that names the place."""
    with pytest.raises(MergeConflictError) as conflict:
        merge(first, second)
    assert str(conflict.value) == f"{path} has two values"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("gate",), "gate"),
        (("leg", "gate-no"), "leg.gate-no"),
        (("stops", 1, "x"), "stops[1].x"),
        (("a.b",), '"a.b"'),
        (("", 'say "x"\\'), '"".' + r'"say \"x\"\\"'),
    ],
)
def test_a_path_has_a_text_of_its_own(path: Path, text: str) -> None:
    """Names that look like a path are quoted."""
    assert path_text(path) == text


def test_the_text_of_a_path_may_leave_positions_out() -> None:
    """As many items of a list share one name."""
    assert path_text(("stops", 1, "x"), with_positions=False) == "stops[].x"
