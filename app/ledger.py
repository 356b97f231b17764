"""What is held for whom: every request holds a place and bytes, within one limit and a share for each caller. Pure.

Bytes are charged for what an input becomes, at the moment it becomes that: a body while it arrives, then the text it
decompresses to, its rows and rejects, an answer until its reader has taken it. A declared length is no charge: it costs
nothing until the bytes are here.
"""

from collections import Counter

KEPT_FOR_OTHERS = 4
"""One part in so many of a ledger is out of reach for any single caller, however much of the rest it holds."""


class Holding:
    """What one request holds. It grows while the request does, and is released once, as a whole."""

    __slots__ = ("_caller", "_ledger", "size")

    def __init__(self, ledger: "Ledger", caller: str) -> None:
        self._ledger, self._caller, self.size = ledger, caller, 0

    def grow(self, size: int) -> bool:
        """Charge `size` more bytes; return False, and charge nothing, where they do not fit."""
        if not self._ledger.fits(self._caller, size):
            return False
        self._ledger.charge(self._caller, size)
        self.size += size
        return True

    def shrink(self, size: int) -> None:
        """Give `size` bytes back before the end."""
        self._ledger.charge(self._caller, -size)
        self.size -= size

    def release(self) -> None:
        """Give everything back, and the place. To be called exactly once."""
        self._ledger.close(self._caller, self.size)
        self.size = 0


class Ledger:
    """Counts places and bytes, in all and by caller.

    `max_bytes` and `max_places` are the limits; a caller has at most three quarters of each. A request that is alone
    always fits, whatever its size: otherwise one over the limit could never be served.
    """

    def __init__(self, *, max_bytes: int, max_places: int) -> None:
        self._max_bytes, self._max_places = max_bytes, max_places
        self._byte_share = max_bytes - max_bytes // KEPT_FOR_OTHERS
        self._place_share = max(max_places - max_places // KEPT_FOR_OTHERS, 1)
        self._bytes_of: Counter[str] = Counter()
        self._places_of: Counter[str] = Counter()
        self.bytes = self.places = 0

    def open(self, caller: str, expected: int = 0) -> Holding | None:
        """Return a new holding of `caller`, or None where there is no room for one of `expected` bytes.

        The expected bytes are looked at and not charged: they may never come.
        """
        places = self._places_of[caller]
        if self.places and (
            self.places >= self._max_places or places >= self._place_share or not self.fits(caller, expected)
        ):
            return None
        self._places_of[caller] = places + 1
        self.places += 1
        return Holding(self, caller)

    def fits(self, caller: str, size: int) -> bool:
        """Return whether `caller` may hold `size` more bytes."""
        if self.places <= 1:
            return True
        return self.bytes + size <= self._max_bytes and self._bytes_of[caller] + size <= self._byte_share

    def charge(self, caller: str, size: int) -> None:
        """Count `size` more bytes (or fewer), without asking."""
        self.bytes += size
        self._bytes_of[caller] += size

    def close(self, caller: str, size: int) -> None:
        """Give back a place and its `size` bytes."""
        self.charge(caller, -size)
        self.places -= 1
        self._places_of[caller] -= 1
        if not self._places_of[caller]:
            del self._places_of[caller], self._bytes_of[caller]
