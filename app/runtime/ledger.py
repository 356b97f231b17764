"""Account for what each caller holds: places and bytes, within a total limit and a share per caller. Pure.

Bytes are charged when they are allocated: a body while it arrives, then its decompressed text, its rows and rejects.
A declared length is not charged: it costs nothing until the bytes arrive.

bodies      app.ingest.admission: requests being written, from the first byte of the body to the answer
tails       app.query.tail.hub: the rows and events that subscribers of a tail have not read
"""

KEPT_FOR_OTHERS = 4
"""One part in this many of a ledger, a quarter, is unavailable to any single caller."""


class _Account:
    """What one caller holds."""

    __slots__ = ("bytes", "caller", "places")

    def __init__(self, caller: str) -> None:
        self.caller, self.bytes, self.places = caller, 0, 0


class Holding:
    """What one request holds. It grows while the request does, and is released once, as a whole."""

    __slots__ = ("_account", "_ledger", "size")

    def __init__(self, ledger: "Ledger", account: _Account) -> None:
        self._ledger, self._account, self.size = ledger, account, 0

    def grow(self, size: int) -> bool:
        """Charge `size` more bytes; return False, and charge nothing, if they do not fit."""
        ledger, account = self._ledger, self._account
        if ledger.places > 1 and (
            ledger.bytes + size > ledger.max_bytes or account.bytes + size > ledger.max_bytes_of_one
        ):
            return False
        ledger.bytes += size
        account.bytes += size
        self.size += size
        return True

    def shrink(self, size: int) -> None:
        """Release `size` bytes early; a negative size charges bytes that are already in memory, whatever the limits."""
        self._ledger.bytes -= size
        self._account.bytes -= size
        self.size -= size

    def release(self) -> None:
        """Release all bytes and the place. Call exactly once."""
        ledger, account, size = self._ledger, self._account, self.size
        self.size = 0
        ledger.bytes -= size
        ledger.places -= 1
        account.bytes -= size
        account.places -= 1
        if not account.places:
            ledger.forget(account)


class Ledger:
    """Counts places and bytes, in total and for each caller.

    `max_bytes` and `max_places` are the limits; a caller has at most three quarters of each. A request that is alone
    always fits, whatever its size: otherwise one over the limit could never be served.
    """

    def __init__(self, *, max_bytes: int, max_places: int) -> None:
        self.max_bytes, self.max_places = max_bytes, max_places
        self.max_bytes_of_one = max_bytes - max_bytes // KEPT_FOR_OTHERS
        self.max_places_of_one = max(max_places - max_places // KEPT_FOR_OTHERS, 1)
        self._accounts: dict[str, _Account] = {}
        self.bytes = self.places = 0

    def open(self, caller: str, expected: int = 0) -> Holding | None:
        """Return a new holding of `caller`, or None if there is no room for `expected` bytes.

        The expected bytes are checked but not charged: they may never arrive.
        """
        account = self._accounts.get(caller)
        if account is None:
            account = _Account(caller)
        if self.places and (
            self.places >= self.max_places
            or account.places >= self.max_places_of_one
            or (expected and not self._has_room(account, expected))
        ):
            return None
        if not account.places:
            self._accounts[caller] = account
        account.places += 1
        self.places += 1
        return Holding(self, account)

    def hold(self, caller: str, size: int) -> Holding | None:
        """Return a new holding of `caller` with `size` bytes charged, or None if they do not fit."""
        holding = self.open(caller, size)
        if holding is not None and not holding.grow(size):
            holding.release()
            return None
        return holding

    def forget(self, account: _Account) -> None:
        """Drop the account of a caller that no longer holds anything."""
        del self._accounts[account.caller]

    def _has_room(self, account: _Account, size: int) -> bool:
        return self.bytes + size <= self.max_bytes and account.bytes + size <= self.max_bytes_of_one
