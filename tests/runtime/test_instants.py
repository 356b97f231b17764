"""What a caller may write for an instant, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runtime.instants import DAY_US, HOUR_US, MAX_US, MIN_US, SECOND_US, InstantError, parse_instant, to_text

NOW_US = 1_700_000_000 * SECOND_US  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("now", NOW_US),
        ("2023-11-14T22:13:20Z", NOW_US),
        ("2023-11-14t22:13:20z", NOW_US),
        ("2023-11-14T23:13:20 01:00", NOW_US),  # an unescaped + arrives as a space
        ("2023-11-14T16:43:20-05:30", NOW_US),
        ("2023-11-14T22:13:20.0000014999Z", NOW_US + 1),
        ("0001-01-01T00:00:00Z", MIN_US),
        ("9999-12-31T23:59:59.999999Z", MAX_US),
        ("-PT15M", NOW_US - 900 * SECOND_US),
        ("-P14D", NOW_US - 14 * DAY_US),
        ("-P1DT2H", NOW_US - DAY_US - 2 * HOUR_US),
        ("-PT1H2M3.5S", NOW_US - HOUR_US - 123_500_000),
        ("-P999999999D", MIN_US),
    ],
)
def test_an_instant_is_read_to_the_microsecond(text: str, expected_us: int) -> None:
    """RFC 3339, durations and `now` give the instant, rounded half up."""
    assert parse_instant(text, NOW_US) == expected_us


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yesterday", "^expected an instant"),
        ("PT15M", "^expected an instant"),
        ("-P1W", "^expected an instant"),
        ("2023-11-14T22:13:20Z\n", "^expected an instant"),
        ("2023-02-30T00:00:00Z", "^expected an instant"),
        ("2023-11-14T22:13:20", "with a timezone component"),
        ("0001-01-01T00:00:00+00:01", "outside the years"),
        ("-P" + "9" * 5000 + "D", "^expected an instant"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, expected: str) -> None:
    """The message says what would be right."""
    with pytest.raises(InstantError, match=expected):
        parse_instant(text, NOW_US)


@given(instant_us=st.integers(MIN_US, MAX_US))
def test_every_instant_reads_back_from_its_text(instant_us: int) -> None:
    """What the service writes it also reads, without losing a microsecond."""
    assert parse_instant(to_text(instant_us), NOW_US) == instant_us


@given(text=st.text(max_size=40) | st.from_regex(r"-?P[0-9WDTHMS.,]{0,12}|[0-9]{4}-[0-9T:.+Z -]{0,30}", fullmatch=True))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is an instant within the years 0001 to 9999, or refused."""
    try:
        assert MIN_US <= parse_instant(text, NOW_US) <= MAX_US
    except InstantError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
