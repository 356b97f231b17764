"""Instants as integer microseconds since the Unix epoch, exactly. Pure."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def epoch_us(instant: datetime) -> int:
    """Return the microseconds from the Unix epoch to an aware datetime."""
    return (instant - _EPOCH) // _MICROSECOND


def from_epoch_us(instant_us: int) -> datetime:
    """Return the aware datetime, in UTC, that lies `instant_us` microseconds after the Unix epoch."""
    return _EPOCH + timedelta(microseconds=instant_us)
