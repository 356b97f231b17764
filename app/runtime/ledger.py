"""Account for the bytes that each caller holds, within a total limit and a share per caller. Pure.

Bytes are charged when they are allocated: a body while it arrives, then its decompressed text, its rows and rejects.
A declared length is not charged: it costs nothing until the bytes arrive. A reservation costs `least_bytes` in any
case, so the limit bounds how many there are too.
"""

_KEPT_FOR_OTHERS = 4  # one part in so many of a limit is unavailable to any single caller


def share_of_one(limit: int) -> int:
    """Return what one caller may have of `limit`: all but what is kept for others."""
    return limit - limit // _KEPT_FOR_OTHERS


class _Account:
    """What one caller holds."""

    __slots__ = ("bytes", "caller", "holdings")

    def __init__(self, caller: str) -> None:
        self.caller, self.bytes, self.holdings = caller, 0, 0


class Reservation:
    """What one request holds. It grows while the request does, and is released once, as a whole."""

    __slots__ = ("_account", "_ledger", "size")

    def __init__(self, ledger: "Ledger", account: _Account) -> None:
        self._ledger, self._account, self.size = ledger, account, 0

    @property
    def caller(self) -> str:
        """Whose request it is."""
        return self._account.caller

    def grow(self, size: int) -> bool:
        """Charge `size` more bytes; return False, and charge nothing, if they do not fit."""
        ledger, total = self._ledger, self.size + size
        if total > ledger.least_bytes:  # so much is charged from the start
            more = total - max(self.size, ledger.least_bytes)
            if ledger.holdings > 1 and not ledger.has_room(self._account, more):
                return False
            self._charge(more)
        self.size = total
        return True

    def release(self) -> None:
        """Release everything. Call exactly once."""
        if self.size > self._ledger.least_bytes:
            self._charge(self._ledger.least_bytes - self.size)
        self.size = 0
        self._ledger.close(self._account)

    def _charge(self, size: int) -> None:
        self._ledger.bytes += size
        self._account.bytes += size


class Ledger:
    """Counts bytes, in total and for each caller.

    A caller has at most three quarters of `max_bytes`. A request that is alone always fits, whatever its size:
    otherwise one over the limit could never be served.
    """

    def __init__(self, *, max_bytes: int, least_bytes: int = 0) -> None:
        self.max_bytes, self.least_bytes = max_bytes, least_bytes
        self.max_bytes_of_one = share_of_one(max_bytes)
        self._accounts: dict[str, _Account] = {}
        self.bytes = self.holdings = 0

    def open(self, caller: str, expected: int = 0) -> Reservation | None:
        """Return a new reservation of `caller`, or None if there is no room for `expected` bytes.

        The expected bytes are checked but not charged: they may never arrive.
        """
        account = self._accounts.get(caller)
        if account is None:
            account = _Account(caller)
        if self.holdings and not self.has_room(account, max(expected, self.least_bytes)):
            return None
        if not account.holdings:
            self._accounts[caller] = account
        account.holdings += 1
        self.holdings += 1
        account.bytes += self.least_bytes
        self.bytes += self.least_bytes
        return Reservation(self, account)

    def hold(self, caller: str, size: int) -> Reservation | None:
        """Return a new reservation of `caller` with `size` bytes charged, or None if they do not fit."""
        reservation = self.open(caller, size)
        if reservation is not None and not reservation.grow(size):
            reservation.release()
            return None
        return reservation

    def close(self, account: _Account) -> None:
        """Drop a reservation of `account`, and the account with its last one."""
        account.holdings -= 1
        self.holdings -= 1
        account.bytes -= self.least_bytes
        self.bytes -= self.least_bytes
        if not account.holdings:
            del self._accounts[account.caller]

    def has_room(self, account: _Account, size: int) -> bool:
        """Return whether `account` may hold `size` more bytes."""
        return self.bytes + size <= self.max_bytes and account.bytes + size <= self.max_bytes_of_one
