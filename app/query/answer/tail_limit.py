"""How many tails there may be, and how many of one caller."""

from collections import Counter

from app.http.problems import ProblemError
from app.runtime.ledger import share_of_one

_RETRY_S = 10


class TailLimit:
    """Counts the tails that each caller has open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._share = share_of_one(most)
        self._held: Counter[str] = Counter()

    def take(self, caller: str) -> None:
        """Take a slot until it is given back.

        Raises:
            ProblemError: `busy`: all slots are held, or the caller holds as many as one may.
        """
        if self._held.total() >= self._most:
            raise self._busy(f"{self._most} tails are in progress, the most that this instance serves")
        if self._held[caller] >= self._share:
            raise self._busy(
                f"{caller} has {self._share} tails in progress; the rest of the {self._most} are "
                "reserved for other callers"
            )
        self._held[caller] += 1

    def give_back(self, caller: str) -> None:
        """Release a slot."""
        self._held[caller] -= 1
        if self._held[caller] <= 0:
            del self._held[caller]

    def _busy(self, what: str) -> ProblemError:
        members = {"max_tails": self._most, "retry_after_s": _RETRY_S}
        headers = {"Retry-After": str(_RETRY_S)}
        return ProblemError("busy", f"{what}; try again in {_RETRY_S} s", members=members, headers=headers)
