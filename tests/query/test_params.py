"""The query parameters, as tables: what is understood, and what is refused and how."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from app.http.problems import ProblemError
from app.query.request.parameters import PAGE_PARAMETERS
from app.query.request.scan import Now, Scan, parse_fields, parse_scan, queryable
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeRange
from app.schema.table import records_table
from tests.contract.every import EVERY
from tests.contract.stores import RECORDS

NOW_US = 1_700_000_000 * SECOND_US
HORIZON_US = NOW_US - 30 * SECOND_US
LATEST_US = NOW_US + 2 * SECOND_US
NOW = Now(NOW_US, HORIZON_US, LATEST_US)
SUBJECT = queryable(RECORDS, 31)


def _parse(query: str, accept: str = "") -> Scan:
    return parse_scan(query, SUBJECT, NOW, accept)


_COLUMNS = {column.name: column for column in RECORDS.columns}


def _window(query: str) -> TimeRange:
    return _parse(query).window


@pytest.mark.parametrize(
    ("query", "since_us", "until_us"),
    [
        ("since=-PT15M", NOW_US - 15 * MINUTE_US, HORIZON_US),
        ("since=2023-11-14T21:13:20Z&until=-PT30M", NOW_US - HOUR_US, NOW_US - 30 * MINUTE_US),
        ("since=2023-11-14T22:13:20+01:00", NOW_US - HOUR_US, HORIZON_US),  # + unescaped
        ("since=2023-11-14T22:13:20%2B01:00", NOW_US - HOUR_US, HORIZON_US),
        ("until=9999-12-31T23:59:59Z", NOW_US - HOUR_US, HORIZON_US),
        ("until=now", NOW_US - HOUR_US, HORIZON_US),
        ("since=now", NOW_US, NOW_US),  # nothing of it is settled yet: an empty window
        ("since=2024-01-01T00:00:00Z", 1_704_067_200 * SECOND_US, 1_704_067_200 * SECOND_US),
        ("since=-PT1M&until=-PT1M", NOW_US - MINUTE_US, NOW_US - MINUTE_US),
        ("since=-P31D", NOW_US - 31 * DAY_US, HORIZON_US),
        ("freshness=latest", NOW_US - HOUR_US, LATEST_US),
        ("freshness=latest&until=now", NOW_US - HOUR_US, NOW_US),
        ("freshness=latest&until=2030-01-01T00:00:00Z", NOW_US - HOUR_US, LATEST_US),
        ("freshness=settled", NOW_US - HOUR_US, HORIZON_US),
    ],
)
def test_the_window_is_resolved_once(query: str, since_us: int, until_us: int) -> None:
    """Relative times become instants, and no window reaches beyond the settled horizon."""
    assert _window(query) == TimeRange(since_us, until_us)


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ("limit=1", "limit", 1),
        ("limit=1000", "limit", 1000),
        ("limit=1001", "limit", 1000),
        ("limit=007", "limit", 7),
        ("limit=" + "9" * 5000, "limit", 1000),
        ("limit=all", "limit", None),
        ("order=desc", "descending", True),
        ("format=json&limit=all&explain=true", "limit", None),  # an explanation is a document
        ("count=capped", "count", "capped"),
        ("wait=2.5", "wait_s", 2.5),
        ("csv_guard=true", "csv_guard", True),
        ("end=true&limit=all", "end", True),
        ("fields=source,id", "columns", (_COLUMNS["source"], _COLUMNS["id"])),
        ("since=2023-01-01T00:00:00Z&until=2023-01-02T00:00:00Z", "is_fixed", True),
        ("since=2023-11-14T00:00:00Z&until=now", "is_fixed", False),
        ("since=-PT1H&until=2023-11-14T22:13:20Z", "is_fixed", False),
    ],
)
def test_a_parameter_has_its_value(query: str, field: str, expected: object) -> None:
    """Each text becomes the value it stands for; a limit that is too large is the largest."""
    assert getattr(_parse(query), field) == expected


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        *((f"limit={text}", "limit", "at least 1") for text in ("0", "000", "-5")),
        *((f"limit={text}", "limit", "whole number") for text in ("", "10.5", "1e3", "ALL", "%2B5", "%D9%A3")),
        ("limit=5&limit=5", "limit", "must be given only once"),
        ("order=up", "order", "expected asc or desc"),
        ("format=json&limit=all", "format", "limit=all is a stream"),
        *((f"wait={text}", "wait", "seconds, from 0 to 30") for text in ("-1", "30.1", "nan", "1_0", "x")),
        ("explain=yes", "explain", "expected true or false"),
        ("fields=", "fields", "there is no field ''"),
        ("since=" + "x" * 5000, "since", "…"),
        ("until=%FF", "until", "expected an instant"),
        ("since=-PT1M&until=-PT2M", "since", "is later than until, 2023-11-14T22:11:20Z"),
        ("until=-P1D", "since", "an hour ago by default"),
        ("since=-P999999999D", "until", "must not exceed 31 days"),
        ("cursor=abc&since=-PT1M", "since", "the cursor already contains the window"),
        ("cursor=abc&until=now", "until", "the cursor already contains the window"),
        ("fields=" + "id," * 30_000, "fields", "at most 200 fields"),
    ],
)
def test_a_wrong_parameter_is_named_with_an_example(query: str, name: str, message: str) -> None:
    """The error names the parameter, says what is wrong, and shows what would be right."""
    with pytest.raises(ProblemError) as caught:
        _parse(query)
    (error,) = caught.value.errors
    assert caught.value.code == "invalid_parameter"
    assert (error.name, bool(error.example)) == (name, True)
    assert message in error.message
    assert len(caught.value.detail) < 400


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """A nested Struct."""

    floor: int


class Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A type with fields that have no role."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    names: str
    site: Place


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sort=2", "there is no such parameter; the parameter is `order`"),
        ("offset=2", "there is no such parameter; pages follow each other by cursors"),
        ("page=2", "there is no such parameter; pages follow each other by cursors"),
        ("limt=5", "there is no such parameter; did you mean limit? The parameters are since, until, cursor"),
        ("names.gt=1", "names is a field without the role `filter`, which its record type may give it"),
        ("site.floor=2", "site.floor is a field without the role `filter`, which its record type may give it"),
    ],
)
def test_an_unknown_parameter_leads_to_what_was_meant(query: str, said: str) -> None:
    """By what other APIs call it, by a name that is close, or by the role that a field lacks."""
    with pytest.raises(ProblemError) as caught:
        parse_scan(query, queryable(records_table(Plain), 31), NOW)
    (error,) = caught.value.errors
    assert error.message.startswith(said)


def test_there_may_be_twenty_filters() -> None:
    """More would make a query that nobody meant."""
    names = [f"data.a{number}" for number in range(21)]
    assert len(_parse(urlencode(dict.fromkeys(names[:20], "1"))).conditions) == 21  # canaries are left out
    with pytest.raises(ProblemError, match="more than 20 filters"):
        _parse(urlencode(dict.fromkeys(names, "1")))


_PATHS = ["id", "number", "site", "site.floor", "site.room", "tree", "ingest_time", "colour", "site.colour", "id.x", ""]


@given(paths=st.lists(st.sampled_from(_PATHS), min_size=1, max_size=6))
def test_fields_are_those_that_were_listed_or_an_error(paths: list[str]) -> None:
    """In their order, each once; of an object, all of its fields or some."""
    top = list(dict.fromkeys(path.partition(".")[0] for path in paths))
    wrong = {"colour", "site.colour", "id.x", ""} & set(paths)
    twice = len(set(paths)) < len(paths) or ("site" in paths and {"site.floor", "site.room"} & set(paths))
    try:
        columns = parse_fields(EVERY.columns, ",".join(paths))
    except ValueError as error:
        assert wrong or twice, error  # noqa: PT017 - either outcome is right
        return
    assert not wrong
    assert not twice
    assert [column.name for column in columns] == top
    site = [column for column in columns if column.name == "site"]
    if site and "site" not in paths:
        assert [field.name for field in site[0].fields] == [path[5:] for path in paths if path.startswith("site.")]


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "", "json"),
        ("", "Application/X-NDJSON; charset=utf-8", "ndjson"),
        ("", "application/json;q=0.5, application/x-ndjson;q=0.9", "ndjson"),
        ("", "application/x-ndjson;q=0.1, */*", "json"),
        ("", "text/csv; header=absent", "csv"),
        ("", "text/html", "json"),
        ("", "text/csv;q=inf", "json"),
        ("", ";;,,=", "json"),
        ("format=json", "application/x-ndjson", "json"),  # a browser's Accept is not explicit
        ("format=arrow", "application/json", "arrow"),
    ],
)
def test_accept_chooses_the_format_unless_the_parameter_does(query: str, accept: str, expected: str) -> None:
    """The most welcome of the formats there are; JSON where nothing fits."""
    assert _parse(query, accept).format == expected


@pytest.mark.parametrize(
    "query", ["&".join(f"x{number}=1" for number in range(16_000)), "limit=1&" * 16_000, "&" * 16_000 + "x=1"]
)
def test_a_long_query_has_a_short_answer(query: str) -> None:
    """However many parameters are wrong, twenty at most are named, and three in the text."""
    with pytest.raises(ProblemError) as caught:
        _parse(query)
    assert len(caught.value.errors) <= 20
    assert len(caught.value.body()) < 8_000
    assert len(caught.value.detail) < 1_000


def test_the_longest_window_is_also_a_member_of_the_problem() -> None:
    """The example is the latest `until` that would do, and the number stands by itself."""
    with pytest.raises(ProblemError) as caught:
        _parse("since=2023-01-01T00:00:00Z")
    assert caught.value.members == {"max_window_days": 31}
    assert caught.value.errors[0].example == "2023-02-01T00:00:00Z"


@given(given_=st.dictionaries(st.sampled_from([*PAGE_PARAMETERS, "x"]), st.text(max_size=20), max_size=4))
def test_no_query_string_breaks_the_reader(given_: dict[str, str]) -> None:
    """Any text is understood or refused as a problem, and a window never runs backwards."""
    try:
        page = _parse(urlencode(given_))
    except ProblemError as error:
        assert error.errors or error.code == "invalid_cursor"  # noqa: PT017 - either outcome is right
    else:
        assert page.limit is None or 1 <= page.limit <= 1000
        assert page.window.from_us <= page.window.to_us
