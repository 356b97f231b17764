"""What follows an append of one suspect message alone: the decision table, and the memory of suspects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.retry_policy import Bisect, Complete, RejectRows, Repair, Retry, Trip
from app.ingest.suspects import (
    ALONE_REFUSALS,
    SPARE_REFUSALS,
    Case,
    Compare,
    Evidence,
    RejectRest,
    Repeat,
    Suspects,
    suspect_step,
)
from app.runtime.clock import MICROSECONDS
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)

NOTHING, OTHERS, SIBLINGS = (
    Evidence(table_stores=False, siblings_stored=False),
    Evidence(table_stores=True, siblings_stored=False),
    Evidence(table_stores=True, siblings_stored=True),
)
UNNAMED, NAMED = RowsRefused({}, "invalid"), RowsRefused({1: RowError("bad")}, "invalid")
HOUR_US = 3_600 * MICROSECONDS


@pytest.mark.parametrize(
    ("outcome", "rows", "refusals", "evidence", "expected"),
    [
        (Stored(), 4, 0, NOTHING, Complete()),
        (Stored(late=True), 4, 0, NOTHING, Repair()),
        (NAMED, 4, 1, NOTHING, RejectRows({1: RowError("bad")})),
        (UNNAMED, 4, 1, NOTHING, Bisect()),
        (UNNAMED, 4, 1, OTHERS, Bisect()),
        (UNNAMED, 1, 1, NOTHING, Compare("invalid")),
        (UNNAMED, 1, 100, NOTHING, Compare("invalid")),
        (UNNAMED, 4, 100, NOTHING, Compare("invalid")),
        (UNNAMED, 1, 1, OTHERS, Repeat()),
        (UNNAMED, 1, ALONE_REFUSALS - 1, OTHERS, Repeat()),
        (UNNAMED, 1, ALONE_REFUSALS, OTHERS, RejectRows({0: RowError("invalid")})),
        (UNNAMED, 1, 1, SIBLINGS, RejectRows({0: RowError("invalid")})),
        (RowsRefused({}), 1, 1, SIBLINGS, RejectRows({0: RowError("the store refused the row without a reason")})),
        (TooLarge("11 MB"), 4, 0, NOTHING, Bisect()),
        (Uncertain("gone"), 4, 0, NOTHING, Retry("gone", 0.1)),
    ],
)
def test_suspect_step(outcome: Outcome, rows: int, refusals: int, evidence: Evidence, expected: object) -> None:
    """Each outcome has one consequence, which depends on nothing but the values given."""
    assert suspect_step(outcome, rows, 4, 0, Case(refusals=refusals), evidence) == expected


@pytest.mark.parametrize("outcome", [QuotaExceeded("rows"), SetupError(SinkState.NOT_FOUND, "no table")])
def test_what_is_no_refusal_of_rows_stops_as_for_any_other_append(outcome: Outcome) -> None:
    """It says nothing about the message."""
    assert isinstance(suspect_step(outcome, 4, 4, 0, Case(), NOTHING), Trip)


@given(
    rows=st.integers(1, 20_000),
    part=st.integers(1, 20_000),
    outcome=st.sampled_from([UNNAMED, NAMED, RowsRefused({0: RowError("bad")})]),
    evidence=st.sampled_from([NOTHING, OTHERS, SIBLINGS]),
)
def test_a_message_costs_a_bounded_number_of_refusals(
    rows: int, part: int, outcome: RowsRefused, evidence: Evidence
) -> None:
    """Then all of it is rejected, or, with nothing to compare with, compared; it is not appended again."""
    case = Case(refusals=rows.bit_length() + SPARE_REFUSALS)
    step = suspect_step(outcome, min(part, rows), rows, 0, case, evidence)
    assert isinstance(step, RejectRest | Compare | RejectRows)
    assert not (isinstance(step, RejectRows) and min(part, rows) > 1)


def test_halving_down_to_one_bad_row_is_within_the_bound() -> None:
    """Whatever the size of the message."""
    for rows in (1, 2, 500, 20_000):
        assert rows.bit_length() + SPARE_REFUSALS > rows.bit_length()
        assert suspect_step(UNNAMED, 2, rows, 0, Case(refusals=rows.bit_length()), SIBLINGS) == Bisect()


def test_cases_are_remembered_for_an_hour() -> None:
    """From the last refusal on; a message without a key is never remembered."""
    suspects = Suspects()
    case = suspects.find("a", 0)
    assert "a" not in suspects.by_key
    case.refusals = 2
    suspects.remember("a", case, 0)
    suspects.remember("", Case(), 0)
    assert (len(suspects), "a" in suspects.by_key) == (1, True)
    assert suspects.find("a", HOUR_US).refusals == 2
    assert suspects.find("a", HOUR_US + 1).refusals == 0
    suspects.remember("b", Case(), HOUR_US + 1)
    assert "a" not in suspects.by_key
    suspects.forget("b")
    suspects.forget("b")
    assert len(suspects) == 0


def test_the_oldest_cases_are_forgotten_where_there_are_too_many() -> None:
    """An hour of refusals takes a few megabytes at most."""
    suspects = Suspects()
    for number in range(10_001):
        suspects.remember(str(number), Case(), number)
    assert len(suspects) == 10_000
    assert ("0" in suspects.by_key, "1" in suspects.by_key, "10000" in suspects.by_key) == (False, True, True)
    suspects.remember("1", suspects.find("1", 20_000), 20_000)
    suspects.remember("new", Case(), 20_001)
    assert ("1" in suspects.by_key, "2" in suspects.by_key) == (True, False)
