"""The parameters of statistics: what is understood, and what is refused and how."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.problems import ProblemError
from app.query.request.scan import Now
from app.query.request.stats import (
    AUTO_BUCKETS,
    MAX_BUCKETS,
    MAX_METRICS,
    STATS_PARAMETERS,
    StatsRequest,
    cut_in_buckets,
    parse_stats_request,
    shortest_round_us,
    stats_parameters,
)
from app.runtime.instants import DAY_US, MAX_US, MIN_US, SECOND_US, TimeRange
from app.schema.filters import filter_table
from tests.contract.readings import SUBJECT
from tests.contract.stores import RECORDS

NOW_US = 1_700_000_000 * SECOND_US  # 2023-11-14T22:13:20Z
HORIZON_US = NOW_US - 30 * SECOND_US
_FIELDS = ["source", "number", "level", "price", "valid", "day", "at", "site.floor"]


def _parse(query: str) -> StatsRequest:
    return parse_stats_request(query, SUBJECT, Now(NOW_US, HORIZON_US, NOW_US + SECOND_US))


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        *(
            (f"bucket={text}", "bucket", "expected auto, or a duration")
            for text in ("5m", "", "AUTO", "-PT5M", "P1M", "PT0S")
        ),
        *((f"bucket={text}", "bucket", "from PT1S to P366D") for text in ("PT0.999999S", "P367D", "P999999999D")),
        ("bucket=PT1S", "bucket", "divides the window into 3570 buckets; at most 1000 are allowed"),
        *((f"by={text}", "by", "there is no such field to group by") for text in ("", "name", "site", "x" * 5000)),
        *(
            (f"metric={text}", "metric", "expected count, or sum")
            for text in ("", "avg", "count:number", "count,,avg:number")
        ),
        ("metric=count,count", "metric", "listed more than once"),
        *((f"metric=p95:{text}", "metric", "there is no such field to compute") for text in ("", "source", "x" * 5000)),
        ("metric=" + ",".join(f"avg:{number}" for number in range(9)), "metric", "at most 8 metrics"),
        ("since=-P32D", "until", "must not exceed 31 days"),
        ("freshness=latest", "freshness", "The parameters are since, until, bucket, by, metric"),
        ("by=source&by=day", "by", "only once"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_would_be_right(query: str, name: str, message: str) -> None:
    """One error says what is wrong with it."""
    with pytest.raises(ProblemError) as caught:
        _parse(query)
    (error,) = caught.value.errors
    assert caught.value.code == "invalid_parameter"
    assert error.name == name
    assert message in error.message
    assert len(error.message) < 600


def test_too_many_buckets_are_refused_with_the_shortest_that_would_do() -> None:
    """The example is accepted, and every number of the text is a member of the problem."""
    with pytest.raises(ProblemError) as caught:
        _parse("since=-P31D&bucket=PT1M")
    (error,) = caught.value.errors
    assert error.example == "PT1H"
    assert caught.value.members == {"buckets": 44_640, "max_buckets": MAX_BUCKETS}
    assert _parse("since=-P31D&bucket=PT1H").buckets.count == 745


def test_the_parameters_name_the_fields_of_the_record_type() -> None:
    """What the OpenAPI document offers can be asked for; where nothing can be computed, nothing is promised."""
    known = stats_parameters(SUBJECT.fields)
    assert list(known) == list(STATS_PARAMETERS)
    assert known["by"].schema["enum"] == _FIELDS
    for name in ("by", "metric", "bucket"):
        _parse(urlencode({name: known[name].example}))
    fields = filter_table(RECORDS)
    assert stats_parameters(fields)["metric"] == STATS_PARAMETERS["metric"]
    assert stats_parameters({}) == STATS_PARAMETERS


@given(
    since_us=st.integers(MIN_US, MAX_US),
    span_us=st.integers(0, 400 * DAY_US),
    length_us=st.integers(SECOND_US, 366 * DAY_US),
    most=st.sampled_from([AUTO_BUCKETS, MAX_BUCKETS]),
)
def test_buckets_cover_the_window(since_us: int, span_us: int, length_us: int, most: int) -> None:
    """All of it, with none to spare at either end, aligned to the epoch; and a round length keeps to the limit."""
    until_us = since_us + span_us
    window = TimeRange(since_us, until_us)
    found = cut_in_buckets(window, length_us)
    assert found.first_us % length_us == 0
    if span_us:
        assert found.first_us <= since_us < found.first_us + length_us
        assert found.end_us - length_us < until_us <= found.end_us
    else:
        assert not found.count
    found = cut_in_buckets(window, shortest_round_us(window, most))
    starts_us = [*found.starts_us()]
    assert len(starts_us) == found.count <= most
    assert starts_us == sorted(starts_us)


@given(asked=st.dictionaries(st.sampled_from([*STATS_PARAMETERS, "number.in", "x"]), st.text(max_size=20), max_size=4))
def test_no_query_string_breaks_the_reader(asked: dict[str, str]) -> None:
    """Any text is understood or refused as a problem, and there are never too many buckets or metrics."""
    try:
        found = _parse(urlencode(asked))
    except ProblemError as error:
        assert error.errors  # noqa: PT017 - either outcome is right
    else:
        assert found.buckets.count <= MAX_BUCKETS
        assert len(found.metrics) <= MAX_METRICS


@pytest.mark.parametrize(
    ("query", "is_fixed", "is_open"),
    [
        ("", False, True),
        ("since=-PT1H&until=-PT5M", False, False),
        ("since=2023-11-14T22:00:00Z", False, True),
        ("since=2023-11-14T22:00:00Z&until=2023-11-14T22:10:00Z", True, False),
        ("since=2023-11-14T22:00:00Z&until=2023-11-14T22:12:50Z", True, False),  # the horizon itself
        ("since=2023-11-14T22:00:00Z&until=2023-11-14T22:12:50.000001Z", True, True),
        ("since=2023-11-14T22:00:00Z&until=now", False, True),
        ("since=2023-11-14T22:00:00Z&until=-PT1M", False, False),
        ("since=2023-11-14T22:00:00Z&until=-PT30S", False, True),  # the horizon, now
    ],
)
def test_it_is_known_whether_the_answer_can_change(query: str, *, is_fixed: bool, is_open: bool) -> None:
    """A window is fixed when both ends are instants, and open when it ends because nothing later is settled."""
    found = _parse(query)
    assert (found.is_fixed, found.is_open) == (is_fixed, is_open)
