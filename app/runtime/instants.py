"""Instants as integer microseconds since the Unix epoch, and the texts a caller may write for one."""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def epoch_us(instant: datetime) -> int:
    """Return the microseconds from the Unix epoch to an aware datetime."""
    return (instant - _EPOCH) // _MICROSECOND


def from_epoch_us(instant_us: int) -> datetime:
    """Return the aware datetime, in UTC, that lies `instant_us` microseconds after the Unix epoch."""
    return _EPOCH + timedelta(microseconds=instant_us)


SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# The years 0001 to 9999: the range that Python, DuckDB and BigQuery share.
MIN_US = -62_135_596_800 * SECOND_US
MAX_US = 253_402_300_800 * SECOND_US - 1

# The offset's sign may be a space: that is what an unescaped `+` in a query string decodes to.
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+ -])([0-9]{2}):([0-9]{2}))"
)
_DURATION = re.compile(
    r"-P(?=[0-9T])(?:([0-9]{1,9})W|(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,12})(?:[.,]([0-9]+))?S)?)?)"
)


class InstantError(ValueError):
    """The text is not an instant; the message describes the correct form."""


def clamp(instant_us: int) -> int:
    """Return the instant nearest to `instant_us` that every store can hold."""
    return min(max(instant_us, MIN_US), MAX_US)


def to_text(instant_us: int) -> str:
    """Return the instant as RFC 3339 in UTC."""
    return from_epoch_us(instant_us).isoformat().replace("+00:00", "Z")


def to_millisecond_text(instant_us: int) -> str:
    """Return an instant in RFC 3339, in UTC, cut to milliseconds."""
    return from_epoch_us(instant_us).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str, now_us: int) -> int:
    """Return the instant that `text` names: RFC 3339 with an offset, a negative duration, or `now`.

    A duration is ISO 8601 (https://www.rfc-editor.org/rfc/rfc3339#appendix-A) and counts from `now_us`; one that
    reaches before the year 0001 stops there. It is rounded to the microsecond, half up, as msgspec rounds a record's.

    Raises:
        InstantError: the text is neither, or its date does not exist.
    """
    if text == "now":
        return now_us
    if text.lstrip("+-").upper().startswith("P"):
        return clamp(now_us - _duration_us(text))
    match = _INSTANT.fullmatch(text)
    if match is None:
        if _INSTANT.fullmatch(f"{text}Z"):
            raise InstantError("the offset from UTC is missing, such as Z or +01:00")
        raise InstantError("expected an instant (RFC 3339 with an offset), a negative duration, or now")
    return _instant_us(match)


def _instant_us(match: re.Match[str]) -> int:
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    leap_second = second == 60  # allowed by RFC 3339 but unknown to clocks, so it counts as the following second
    try:
        local = datetime(year, month, day, hour, minute, 59 if leap_second else second, tzinfo=UTC)
    except ValueError as error:
        raise InstantError(f"no such date or time: {error}") from None
    offset_hours, offset_minutes = int(match[9] or 0), int(match[10] or 0)
    if offset_hours > 23 or offset_minutes > 59:
        raise InstantError("an offset must be between -23:59 and +23:59")
    offset_us = (offset_hours * 60 + offset_minutes) * MINUTE_US * (-1 if match[8] == "-" else 1)
    instant_us = epoch_us(local) + leap_second * SECOND_US + _fraction_us(match[7]) - offset_us
    if clamp(instant_us) != instant_us:
        raise InstantError("the time in UTC is outside the years 0001 to 9999")
    return instant_us


def _duration_us(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        if _DURATION.fullmatch(f"-{text.lstrip('+')}"):
            raise InstantError("a duration is relative to now and must begin with a minus sign")
        raise InstantError("a duration has either weeks, or days, hours, minutes and seconds, such as -P1DT2H")
    weeks, days, hours, minutes, seconds = (int(match[group] or 0) for group in range(1, 6))
    whole_us = (weeks * 7 + days) * DAY_US + hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US
    return whole_us + _fraction_us(match[6])


def _fraction_us(digits: str | None) -> int:
    return (int((digits or "")[:7].ljust(7, "0")) + 5) // 10
