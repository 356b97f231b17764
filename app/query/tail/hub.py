"""Who reads the tails of one table, and what they share."""

import asyncio

from app.clock import Clock
from app.errors import ProblemError
from app.query.cursor import Position
from app.query.feed import Feed
from app.query.params.filters import Condition, in_order
from app.query.tail.events import Form
from app.query.tail.poller import Poller
from app.query.tail.reading import Reader
from app.query.tail.subscriber import Send, Subscriber
from app.settings import Settings

_RETRY_S = 10
_CATCHING_UP = 4  # subscribers at once: after a restart all of them want to, and others want pages


class Hub:
    """Lets subscribers in, as many as settings allow, and gives those with the same filters the same poller."""

    def __init__(self, feed: Feed, settings: Settings, clock: Clock) -> None:
        self._feed, self._settings, self._clock = feed, settings, clock
        self._admitted: dict[Subscriber, str] = {}
        self._pollers: dict[str, Poller] = {}
        self._turn = asyncio.Semaphore(_CATCHING_UP)

    def admit(self, start: Position, form: Form, conditions: tuple[Condition, ...]) -> Subscriber:
        """Return a new subscriber of the rows behind `start` that meet `conditions`; it counts until it is dismissed.

        Raises:
            ProblemError: `busy`: there are as many as there may be.
        """
        max_tails = self._settings.max_tails
        if len(self._admitted) >= max_tails:
            raise ProblemError(
                "busy",
                f"{max_tails} tails are being read, and this instance serves no more; try again in {_RETRY_S} s",
                members={"max_tails": max_tails, "retry_after_s": _RETRY_S},
                headers={"Retry-After": str(_RETRY_S)},
            )
        together = in_order({repr(each): each for each in conditions}.values())
        subscriber = Subscriber(
            start,
            form,
            Reader(self._feed, together, self._settings, self._clock),
            clock=self._clock,
            max_s=self._settings.tail_max_s,
            turn=self._turn,
        )
        self._admitted[subscriber] = repr(together)  # as text: 1, 1.0 and True are equal, but not as filters
        return subscriber

    async def run(self, subscriber: Subscriber, send: Send) -> None:
        """Send `subscriber` its stream; the first with its filters begins their poller, and the last one ends it."""
        filters = self._admitted[subscriber]
        poller = self._pollers.get(filters)
        if poller is None or poller.problem is not None:
            poller = self._pollers[filters] = Poller(subscriber.reader, subscriber.position, self._clock)
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
        """Count `subscriber` no more."""
        self._admitted.pop(subscriber, None)
