"""Remember messages that the store refused alone without naming a row, across their deliveries. Pure."""

import msgspec

_MAX_MESSAGES, _MAX_AGE_US = 10_000, 3_600_000_000  # longer than any retry back-off of a subscription


class Refusals(msgspec.Struct):
    """The refusals of one message.

    `since` numbers the last append that had begun when the first one arrived: a later append that is stored shows that
    the table takes rows. `alone` counts refused appends of this message alone, `deliveries` those that ended without a
    decision.
    """

    since: int
    alone: int = 0
    deliveries: int = 0
    at_us: int = 0


class RefusedMessages:
    """The refusals by message key. They are forgotten after an hour, the oldest earlier if there are too many."""

    def __init__(self) -> None:
        self._by_key: dict[str, Refusals] = {}

    def __len__(self) -> int:
        """Return how many messages are remembered."""
        return len(self._by_key)

    def find(self, key: str, now_us: int) -> Refusals | None:
        """Return the refusals of a message, if it was refused within the hour."""
        refusals = self._by_key.get(key)
        return None if refusals is None or now_us - refusals.at_us > _MAX_AGE_US else refusals

    def remember(self, key: str, refusals: Refusals, now_us: int) -> None:
        """Remember `refusals`, if the message has a key; forget the oldest when there are too many."""
        if key:
            refusals.at_us = now_us
            self.forget(key)
            self._by_key[key] = refusals  # the latest is the last
            if len(self._by_key) > _MAX_MESSAGES:
                self.forget(next(iter(self._by_key)))

    def forget(self, key: str) -> None:
        """Forget a message that is durable."""
        self._by_key.pop(key, None)
