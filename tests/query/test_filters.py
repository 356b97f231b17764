"""Filters as they are read: any text is a condition or an error that helps."""

import csv
import datetime as dt
import io
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.request.filters import (
    MAX_VALUES,
    FilterError,
    fingerprint,
    in_order,
    parse_filter,
    parse_filters,
)
from app.runtime.instants import epoch_us
from app.schema.columns import Kind
from app.schema.filters import OPERATORS
from app.stores.sql.statement import condition_parameters, where_clause
from tests.contract.every import FIELDS

_JSON = next(path for path, field in FIELDS.items() if field.kind is Kind.JSON)
_NAMES = st.builds(
    ".".join,
    st.lists(st.sampled_from([*FIELDS, *OPERATORS, "0", "a", ""]) | st.text(max_size=8), min_size=1, max_size=5),
)
_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["5", "-1", "true", "2026-01-31", "12:00:00", "AA==", "1e400", "nan", '"']
)


@given(name=_NAMES, text=_TEXTS)
def test_any_words_are_a_condition_or_an_error_that_helps(name: str, text: str) -> None:
    """What is a condition can be asked for: its text has as many parameters as it has values."""
    try:
        condition = parse_filter(FIELDS, name, text)
    except FilterError as error:
        assert len(str(error)) > 10  # noqa: PT017 - either outcome is right
        return
    if condition is not None:
        assert condition.operator in FIELDS[condition.path].operators
        parameters = condition_parameters([condition])
        assert len(parameters) == (0 if condition.operator == "isnull" else len(condition.values))
        assert all(f"@{each}" in where_clause([condition]) for each in parameters)


_PAIRS = [("number", "1"), ("number.gt", "0"), ("text.in", "a,b"), ("tree.a.b", "x"), ("tree.a", "x"), ("flag", "true")]


@given(pairs=st.permutations(_PAIRS))
def test_the_order_of_filters_is_nothing(pairs: list[tuple[str, str]]) -> None:
    """Equal filters have one fingerprint and one key, however they were written."""
    assert parse_filters(FIELDS, pairs) == parse_filters(FIELDS, _PAIRS)
    conditions = [condition for condition in (parse_filter(FIELDS, *pair) for pair in pairs) if condition]
    assert fingerprint(conditions) == fingerprint(parse_filters(FIELDS, _PAIRS))
    assert in_order(conditions) == parse_filters(FIELDS, _PAIRS)


@given(texts=st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_in_reads_a_line_of_csv(texts: list[str]) -> None:
    """Whatever a value holds, there is a way to write it; a value that stands twice counts once."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(texts)
    condition = parse_filter(FIELDS, "text.in", line.getvalue())
    assert condition is not None
    assert condition.values == tuple(dict.fromkeys(texts))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("number.prefix", "1", "number has no operator prefix; it has eq, ne"),
        ("number.a", "1", "number has the operators eq"),
        ("site", "1", None),
        ("colour", "red", None),
        ("numberx", "1", None),
        ("text.prefix", "", "at least one character"),
        ("text.in", "a\n", "separated by commas"),
        ("text.in", "\r\n", "separated by commas"),
        ("text.in", "a\nb", "separated by commas"),
        ("number.in", "", "expected a whole number"),
        ("text.in", 'a,"b', "separated by commas"),
        ("text.in", ",".join("a" * (MAX_VALUES + 1)), f"at most {MAX_VALUES} values"),
        ("text", "x" * 5_000, "longer than 4096 characters"),
        ("text.isnull", "yes", "expected true or false"),
        ("tree." + ".".join("abcdefghijk"), "x", "deeper than 10 members"),
        ("tree.a'b", "x", "not the name of a member"),
        ('tree.a"b', "x", "not the name of a member"),
        ("tree..a", "x", "not the name of a member"),
        ("tree.a.gt", "x", "expected a number"),
        ("key", "3f2504e0", "expected a UUID"),
        ("key", "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", "expected a UUID"),
        ("raw.lt", "AA==", "raw has no operator lt"),
    ],
)
def test_what_cannot_be_asked_for_is_said(name: str, text: str, message: str | None) -> None:
    """Or it is no filter at all, and so an unknown parameter."""
    if message is None:
        assert parse_filter(FIELDS, name, text) is None
        return
    with pytest.raises(FilterError) as raised:
        parse_filter(FIELDS, name, text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("day", text) for text in ("20260131", "2026-W05-6", "2026-1-31", "2026-02-30", " 2026-01-31", "٢٠٢٦-01-31")),
        *(("clock", text) for text in ("12", "12:00", "1200", "12:00:00Z", "24:00:00", "12:00:00.", "T12:00:00")),
        *(("ratio", text) for text in (" 1 ", "1_0", "inf", "nan", "1e999", ".5", "1.", "+1", "0x1", "\u0661", "")),
        *(
            ("price", text)
            for text in (" 1 ", "1_0", "Infinity", "NaN", "1E+999999999", "0.0000000001", "1e30", "+1", "")
        ),
        *(("number", text) for text in (" 1 ", "1_0", "9223372036854775808", "1.0", "+1", "--1", "\u0661", "")),
        *(("flag", text) for text in ("TRUE", "1", "yes", "")),
        *(("raw", text) for text in ("AA", "A===", "é", "AA==\n")),
        *(("at", text) for text in ("now", "-PT1H", "2026-01-31", "2026-01-31T12:00:00", "1769860800", "")),
        *(("key", text) for text in ("urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301", "")),
    ],
)
def test_a_value_has_the_spellings_that_are_documented(name: str, text: str) -> None:
    """And no others that Python's own readers would take; the error shows what would do."""
    with pytest.raises(FilterError) as raised:
        parse_filter(FIELDS, name, text)
    assert "expected" in str(raised.value) or "offset" in str(raised.value) or "no such date" in str(raised.value)


@given(
    whole=st.times().map(lambda each: each.isoformat("seconds")),
    fraction=st.text("0123456789", min_size=1, max_size=20) | st.integers(0, 2_000).map("999999{}".format),
)
def test_a_fraction_of_a_second_means_in_a_filter_what_it_means_in_a_record(whole: str, fraction: str) -> None:
    """Beyond microseconds too: a record is found by the text that it was sent with."""
    at = f"2026-01-31T{whole}.{fraction}Z"
    (instant,) = parse_filters(FIELDS, [("at", at)])
    assert instant.values == (epoch_us(msgspec.convert(at, dt.datetime)),)
    (clock,) = parse_filters(FIELDS, [("clock", f"{whole}.{fraction}")])
    assert clock.values == (msgspec.convert(f"{whole}.{fraction}", dt.time),)


@pytest.mark.parametrize("name", ["." * 60_000, "text" + ".x" * 30_000, "tree." + "." * 60_000, "x" * 60_000])
def test_a_long_name_is_soon_dealt_with(name: str) -> None:
    """As long as an address may be; it once took ten seconds of the processor, in which nobody else was answered."""
    begun = time.process_time()
    try:
        assert parse_filter(FIELDS, name, "1") is None
    except FilterError as error:
        assert len(str(error)) < 500  # noqa: PT017 - either outcome is right
    assert time.process_time() - begun < 5
