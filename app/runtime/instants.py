"""Instants as integer microseconds since the Unix epoch, ranges of them, and the texts a caller may write for one."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

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

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class TimeRange(msgspec.Struct, frozen=True):
    """The instants in [from_us, to_us), a half-open range; empty where it ends as it begins."""

    from_us: int
    to_us: int

    def __contains__(self, at_us: int) -> bool:
        """Return whether it holds an instant."""
        return self.from_us <= at_us < self.to_us

    @property
    def length_us(self) -> int:
        """How long it lasts."""
        return self.to_us - self.from_us


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

    A duration is ISO 8601, of days, hours, minutes and seconds, and counts from `now_us`; one that reaches before the
    year 0001 stops there. Both are rounded to the microsecond, as msgspec rounds a record's.

    Raises:
        InstantError: the text is neither, or its date does not exist.
    """
    if text == "now":
        return now_us
    try:
        if text.startswith("-P"):
            return clamp(now_us + msgspec.convert(text, timedelta) // _MICROSECOND)
        # The offset's sign may be a space: that is what an unescaped `+` in a query string decodes to.
        instant_us = epoch_us(msgspec.convert(text[:19] + text[19:].replace(" ", "+"), _Instant))
    except msgspec.ValidationError as error:
        expected = "expected an instant (RFC 3339 with an offset), a negative duration such as -PT15M, or now"
        raise InstantError(f"{expected}: {error}") from None
    if clamp(instant_us) != instant_us:
        raise InstantError("the time in UTC is outside the years 0001 to 9999")
    return instant_us
