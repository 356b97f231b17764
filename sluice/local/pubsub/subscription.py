"""One subscription's messages: ready or leased.

Every undelivered message is in exactly one place:

    ready ──pull──> leased ──ack──> gone
      ▲               │ nack or expiry
      └───────────────┴──> dead-lettered (attempts used up)

A message that is older than the retention is dropped wherever it is, as in the real service.
No I/O; times are parameters, in microseconds.
"""

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from sluice.local.pubsub.message import MICROSECONDS, Delivery, Message

WEEK_S = 7 * 24 * 3600


class SubscriptionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a subscription was created; names are full resource names, empty for none."""

    name: str
    topic: str
    ack_deadline_s: int = 10
    dead_letter_topic: str = ""
    max_attempts: int = 5
    push_endpoint: str = ""
    retention_s: float = WEEK_S


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription's backlog; the names of its members are those of Cloud Monitoring, where it has the metric."""

    subscription: str
    num_undelivered_messages: int
    oldest_unacked_message_age: float
    """Seconds; 0 if there is none."""
    dead_letter_message_count: int
    expired_message_count: int
    """How many were dropped unacknowledged, at the end of the retention."""
    message_retention_duration: float
    push_endpoint: str
    is_push: bool
    """Whether it was made to be pushed; its endpoint may have been removed since."""


class _Entry:
    """A message and the number of its deliveries, and whether it is gone."""

    __slots__ = ("attempts", "is_gone", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.attempts = 0
        self.is_gone = False


class Subscription:
    """The state machine of one subscription."""

    def __init__(
        self,
        settings: SubscriptionSettings,
        next_ack_id: Callable[[], str],
        forward_dead: Callable[[SubscriptionSettings, Message, int], None],
    ) -> None:
        """Start empty; `forward_dead(settings, message, attempts)` publishes to the dead-letter topic."""
        self.settings, self.is_push = settings, bool(settings.push_endpoint)
        self.watchers: set[Callable[[], None]] = set()
        self.dead_lettered = 0
        self.expired = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # all that are not settled, the oldest first
        self._next_ack_id = next_ack_id
        self._forward_dead = forward_dead
        self._ready: deque[_Entry] = deque()
        self._leases: dict[str, tuple[int, _Entry]] = {}
        self._expiries: list[tuple[int, str]] = []

    @property
    def backlog(self) -> int:
        """How many messages are not acknowledged."""
        return len(self._entries)

    def describe(self, now_us: int) -> Backlog:
        """Return the backlog as it is now."""
        self.advance(now_us)
        oldest = next(iter(self._entries.values()), None)
        age_us = 0 if oldest is None else max(0, now_us - oldest.message.publish_time_us)
        return Backlog(
            subscription=self.settings.name,
            num_undelivered_messages=self.backlog,
            oldest_unacked_message_age=age_us / MICROSECONDS,
            dead_letter_message_count=self.dead_lettered,
            expired_message_count=self.expired,
            message_retention_duration=self.settings.retention_s,
            push_endpoint=self.settings.push_endpoint,
            is_push=self.is_push,
        )

    def accept(self, message: Message) -> None:
        """Add a newly published message."""
        entry = self._entries[message.message_id] = _Entry(message)
        self._make_ready(entry)

    def pull(
        self, max_messages: int, now_us: int, lease_s: float | None = None, max_bytes: float = math.inf
    ) -> list[Delivery]:
        """Lease up to `max_messages` for `lease_s` (default: the ack deadline).

        It leases at least one if one is ready, and no more than fit into `max_bytes` of data.
        """
        self.advance(now_us)
        lease_us = round((self.settings.ack_deadline_s if lease_s is None else lease_s) * MICROSECONDS)
        deliveries: list[Delivery] = []
        size = 0
        while self._drop_gone() and len(deliveries) < max_messages:
            size += len(self._ready[0].message.data)
            if deliveries and size > max_bytes:
                break
            entry = self._ready.popleft()
            entry.attempts += 1
            ack_id = self._next_ack_id()
            self._lease(ack_id, now_us + lease_us, entry)
            deliveries.append(Delivery(ack_id, entry.message, entry.attempts))
        return deliveries

    def ack(self, ack_id: str, now_us: int) -> None:
        """Remove a leased message, unless its lease is unknown or has expired."""
        self.advance(now_us)
        if (lease := self._leases.pop(ack_id, None)) is not None:
            self._settled(lease[1])

    def nack(self, ack_id: str, now_us: int) -> None:
        """Give a leased message back, unless its lease is unknown or has expired."""
        self.advance(now_us)
        if (lease := self._leases.pop(ack_id, None)) is not None:
            self._failed(lease[1])

    def has_ready(self, now_us: int) -> bool:
        """Return whether a pull now would return something."""
        self.advance(now_us)
        return self._drop_gone()

    def next_change_us(self) -> int | None:
        """Return when the next lease expires; one that is settled may be named, as an early wake-up is harmless."""
        return self._expiries[0][0] if self._expiries else None

    def advance(self, now_us: int) -> None:
        """Drop what is older than the retention, and process the lease expiries that are due by `now_us`."""
        self._expire(now_us - round(self.settings.retention_s * MICROSECONDS))
        while self._expiries and self._expiries[0][0] <= now_us:
            deadline_us, ack_id = heapq.heappop(self._expiries)
            lease = self._leases.get(ack_id)
            if lease is not None and lease[0] == deadline_us:
                del self._leases[ack_id]
                self._failed(lease[1])

    def notify(self) -> None:
        """Wake all waiters of this subscription."""
        for watcher in tuple(self.watchers):
            watcher()

    def _expire(self, until_us: int) -> None:
        """Drop the messages that were published by `until_us`."""
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if oldest.message.publish_time_us > until_us:
                return
            self.expired += 1
            self._settled(oldest)

    def _drop_gone(self) -> bool:
        """Return whether a message is ready; those that expired while they waited are skipped."""
        while self._ready and self._ready[0].is_gone:
            self._ready.popleft()
        return bool(self._ready)

    def _make_ready(self, entry: _Entry) -> None:
        self._ready.append(entry)
        if self.watchers:
            self.notify()

    def _lease(self, ack_id: str, deadline_us: int, entry: _Entry) -> None:
        self._leases[ack_id] = (deadline_us, entry)
        heapq.heappush(self._expiries, (deadline_us, ack_id))
        if len(self._expiries) > 2 * len(self._leases) + 1024:
            # Acknowledged leases stay in the heap until their deadline: drop them before they pile up.
            self._expiries = [(end_us, key) for key, (end_us, _) in self._leases.items()]
            heapq.heapify(self._expiries)

    def _settled(self, entry: _Entry) -> None:
        if entry.is_gone:
            return  # it expired while it was leased
        entry.is_gone = True
        del self._entries[entry.message.message_id]

    def _failed(self, entry: _Entry) -> None:
        settings = self.settings
        if entry.is_gone:
            return
        if settings.dead_letter_topic and entry.attempts >= settings.max_attempts:
            self._forward_dead(settings, entry.message, entry.attempts)
            self.dead_lettered += 1
            self._settled(entry)
        else:
            self._make_ready(entry)
