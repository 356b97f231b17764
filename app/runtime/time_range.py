"""A half-open range of time, in microseconds since 1970. Pure."""

import msgspec


class TimeRange(msgspec.Struct, frozen=True):
    """The instants in [from_us, to_us); empty where it ends as it begins."""

    from_us: int
    to_us: int

    def __contains__(self, at_us: int) -> bool:
        """Return whether it holds an instant."""
        return self.from_us <= at_us < self.to_us

    @property
    def length_us(self) -> int:
        """How long it lasts."""
        return self.to_us - self.from_us
