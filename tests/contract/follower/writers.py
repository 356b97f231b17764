"""Four writers before a store that commits late: what they store, and when; no I/O."""

import heapq
from typing import NamedTuple

from app.stores.query import Position
from tests.contract.follower.clocks import FAST_US, LOOKBACK_US, SLOW_US, World

WRITER_SKEWS_US = (SLOW_US, FAST_US, 0, SLOW_US)


class Commit(NamedTuple):
    """A row on its way: when it will be there, and what it is."""

    due_us: int
    place: Position
    source: str


class Message:
    """A message of Pub/Sub. `stamps_us` are those of its rows that are stored, or will be."""

    def __init__(self, key: str, source: str) -> None:
        self.key, self.source = key, source
        self.stamps_us: list[int] = []

    def may_be_stamped(self, stamp_us: int) -> bool:
        """Whether a row stamped so is within the look-back of the copies before it, as the promise says."""
        return not self.stamps_us or stamp_us - max(self.stamps_us) <= LOOKBACK_US


class Writer:
    """An instance that takes a message, stamps a row, sends it, and learns what became of it, or does not."""

    def __init__(self, skew_us: int) -> None:
        self.skew_us = skew_us
        self.held: Message | None = None
        self.sent: Commit | None = None

    def take(self, message: Message) -> None:
        """Take a message to be stored."""
        self.held = message

    def stop(self) -> Message:
        """Let go of the message, at any point: what was sent is on its way all the same."""
        assert self.held is not None
        message, self.held, self.sent = self.held, None, None
        return message


class Writers:
    """The writers, the messages that wait to be delivered, and the rows under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.writers = [Writer(skew_us) for skew_us in WRITER_SKEWS_US]
        self.queue: list[Message] = []
        self.under_way: list[Commit] = []
        self.stored: dict[str, Commit] = {}  # by delivery: the row that was stamped first
        self._published = 0

    def publish(self, source: str) -> Message:
        """Return a new message."""
        self._published += 1
        return Message(f"k{self._published % 7}-{self._published}", source)

    def send(self, writer: Writer, delay_us: int | None) -> None:
        """Stamp a row and send it; the store commits it after `delay_us`, None is never.

        A message that comes again later than the look-back reaches is out of what was promised: it is let go.
        """
        message = writer.held
        assert message is not None
        stamp_us = self.world.now_us + writer.skew_us
        if not message.may_be_stamped(stamp_us):
            writer.stop()
            return
        writer.sent = None
        if delay_us is not None:
            writer.sent = Commit(self.world.now_us + delay_us, Position(stamp_us, message.key), message.source)
            heapq.heappush(self.under_way, writer.sent)
            message.stamps_us.append(stamp_us)

    def arrive(self, until_us: int, *, inclusive: bool) -> list[Commit]:
        """Move time on and return the rows that were committed meanwhile; those due at the very end are a choice."""
        arrived = []
        while self.under_way and self.under_way[0].due_us < until_us + inclusive:
            commit = heapq.heappop(self.under_way)
            arrived.append(commit)
            first = self.stored.setdefault(commit.place.delivery_key, commit)
            if commit.place < first.place:
                self.stored[commit.place.delivery_key] = commit
        self.world.now_us = max(self.world.now_us, until_us)
        return arrived

    def expected(self, source: str | None) -> list[Position]:
        """Return what a follower is to see: each delivery at its first stamp, in order."""
        return sorted(first.place for first in self.stored.values() if source in {None, first.source})
