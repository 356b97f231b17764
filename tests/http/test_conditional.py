"""Entity tags, and what a client is told about keeping an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.reading import is_match, strong_etag

_OPAQUE = st.text(st.sampled_from("!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~\x80é\xff"), max_size=6)
_PARTS = st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=4)


@given(one=_PARTS, other=_PARTS)
def test_equal_parts_and_only_they_have_equal_tags(one: list[str | bytes], other: list[str | bytes]) -> None:
    """How they are divided counts, and so does whether they are text."""
    assert (strong_etag(*one) == strong_etag(*other)) == (one == other)


@given(tags=st.lists(st.tuples(st.booleans(), _OPAQUE), max_size=5), opaque=_OPAQUE, data=st.data())
def test_a_list_names_its_tags(tags: list[tuple[bool, str]], opaque: str, data: st.DataObject) -> None:
    """Weak or strong, with commas inside, with blanks around and empty places between."""
    separator = st.sampled_from([",", ", ", " ,\t", ",,", " , , "])
    field = data.draw(st.sampled_from(["", " ", ",", ", "]))
    for weak, tag in tags:
        field += ("W/" if weak else "") + f'"{tag}"' + data.draw(separator)
    named = opaque in {tag for _, tag in tags}
    assert is_match(field, f'"{opaque}"') == named
    assert is_match(field, f'W/"{opaque}"') == named


@given(field=st.text(max_size=20) | st.text(st.sampled_from('W/"a, *'), max_size=12))
def test_any_field_is_read(field: str) -> None:
    """What is not a list of tags names none, and is no error."""
    assert is_match(field, '"never"') == (field.strip(" \t") == "*")


@pytest.mark.parametrize(
    "field", ["", "a", '"A"', 'w/"a"', '"a', 'x"a"', '"a" x', '"a", *', '"ab"', '"b,a"', "'a'", '" a"']
)
def test_fields_that_do_not_match(field: str) -> None:
    """Tags are compared letter by letter, and a field that is not well formed names none."""
    assert not is_match(field, '"a"')
