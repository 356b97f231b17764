"""The subscribers to the tail of one table, and the pollers they share."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from app.environment import Environment
from app.http.problems import ProblemError
from app.query.feed import Feed
from app.query.params.filters import in_order
from app.query.tail.events import EventFormat
from app.query.tail.poller import Poller, Reader
from app.query.tail.subscriber import Send, Subscriber
from app.runtime.ledger import Holding, Ledger, share_of_one
from app.settings.fields import MIB
from app.settings.query import QuerySettings
from app.stores.query import Condition, Position

_BYTES = 64 * MIB  # of rows and events that subscribers have not read yet
_CATCHING_UP = 4  # subscribers at once: after a restart all of them catch up, while other callers read pages


class _Admitted(NamedTuple):
    caller: str
    filters: str


class TailLimits:
    """How many subscribers there may be, how many catch up at once, and the memory of all: of all streams together."""

    def __init__(self, settings: QuerySettings, max_bytes: int = _BYTES) -> None:
        self.limiter = ConcurrencyLimiter("tails", "max_tails", settings.max_tails)
        self.turn = asyncio.Semaphore(_CATCHING_UP)
        self.ledger = Ledger(max_bytes=max_bytes)


class Hub:
    """Admits as many subscribers as the limits allow; those with the same filters share a poller."""

    def __init__(
        self,
        feed: Feed,
        environment: Environment,
        erasures: Callable[[], int],
        limits: TailLimits,
    ) -> None:
        self._erasures = erasures
        self._feed, self._settings, self._clock = feed, environment.settings.query, environment.clock
        self._limiter, self._turn = limits.limiter, limits.turn
        self._admitted: dict[Subscriber, _Admitted] = {}
        self._pollers: dict[str, Poller] = {}
        self._ledger = limits.ledger

    def admit(self, caller: str, start: Position, form: EventFormat, conditions: tuple[Condition, ...]) -> Subscriber:
        """Return a new subscriber to the rows after `start` that match `conditions`; it counts until it is dismissed.

        Raises:
            ProblemError: `busy`: there are as many as there may be, or as many of `caller`.
        """
        self._limiter.take(caller)
        together = in_order({repr(each): each for each in conditions}.values())
        subscriber = Subscriber(
            start,
            form,
            Reader(self._feed, together, self._settings, self._clock),
            clock=self._clock,
            max_s=self._settings.tail_max_s,
            turn=self._turn,
            room=partial(self._room, caller),
        )
        # As text: 1, 1.0 and True are equal, but not as filters.
        self._admitted[subscriber] = _Admitted(caller, repr(together))
        return subscriber

    async def run(self, subscriber: Subscriber, send: Send) -> None:
        """Send `subscriber` its stream; the first with its filters starts their poller, and the last one stops it."""
        caller, filters = self._admitted[subscriber]
        poller = self._pollers.get(filters)
        if poller is None or poller.problem is not None:
            holding = self._ledger.open(caller)
            poller = self._pollers[filters] = Poller(
                subscriber.reader, subscriber.position, self._clock, holding, self._erasures
            )
        poller.watch(subscriber.wake)
        try:
            await subscriber.run(poller, send)
        finally:
            poller.leave(subscriber.wake)
            if not poller.is_watched:
                if self._pollers.get(filters) is poller:
                    del self._pollers[filters]
                await poller.stop()

    def dismiss(self, subscriber: Subscriber) -> None:
        """Stop counting `subscriber`."""
        admitted = self._admitted.pop(subscriber, None)
        if admitted is not None:
            self._limiter.give_back(admitted.caller)

    def _room(self, caller: str, size_bytes: int) -> Holding | None:
        """Return a holding of so many bytes, after dropping unused encoded batches if necessary; None if it fails."""
        holding = self._ledger.hold(caller, size_bytes)
        if holding is None:
            for poller in self._pollers.values():
                poller.recent.forget_unused()
            holding = self._ledger.hold(caller, size_bytes)
        return holding


_RETRY_S = 10


class ConcurrencyLimiter:
    """Counts the slots of one kind that each caller holds.

    `noun` names the limited operations, in the plural; `member` is the limit's name in the problem document.
    """

    def __init__(self, noun: str, member: str, most: int) -> None:
        self._noun, self._member, self._most = noun, member, most
        self._share = share_of_one(most)
        self._held: Counter[str] = Counter()

    def take(self, caller: str) -> None:
        """Take a slot until it is given back.

        Raises:
            ProblemError: `busy`: all slots are held, or the caller holds as many as one may.
        """
        if self._held.total() >= self._most:
            raise self._busy(f"{self._most} {self._noun} are in progress, the most that this instance serves")
        if self._held[caller] >= self._share:
            raise self._busy(
                f"{caller} has {self._share} {self._noun} in progress; the rest of the {self._most} are "
                "reserved for other callers"
            )
        self._held[caller] += 1

    def give_back(self, caller: str) -> None:
        """Release a slot."""
        self._held[caller] -= 1
        if self._held[caller] <= 0:
            del self._held[caller]

    def _busy(self, what: str) -> ProblemError:
        members = {self._member: self._most, "retry_after_s": _RETRY_S}
        headers = {"Retry-After": str(_RETRY_S)}
        return ProblemError("busy", f"{what}; try again in {_RETRY_S} s", members=members, headers=headers)
