"""Limit the work in flight; requests beyond the limit are refused at once, which makes Pub/Sub slow down."""

import enum
from typing import NamedTuple

from app.runtime.ledger import Holding, Ledger

MESSAGE_BYTES = 48 * 1024
"""What a message in flight counts at least: its request, its tasks and its rows take memory however small it is."""


class Allowance(NamedTuple):
    """What a message may use: time, up to `deadline_us` on the clock's `elapsed_us`, and memory, charged to `holding`.

    The caller releases the holding. Without one, memory is not charged.
    """

    deadline_us: int
    holding: Holding | None = None

    def has_room(self, size: int) -> bool:
        """Charge `size` more bytes; return False, and charge nothing, if they do not fit."""
        return self.holding is None or self.holding.grow(size)


class Refusal(enum.Enum):
    """Why a request is not admitted."""

    BUSY = "busy"
    DRAINING = "draining"


class Admission:
    """Admits requests that write, within the limit of one ledger: their bodies, and everything made from them."""

    def __init__(self, max_bytes: int, message_bytes: int = MESSAGE_BYTES) -> None:
        self.ledger = Ledger(max_bytes=max_bytes, least_bytes=message_bytes)
        self.admitted = 0
        self.draining = False

    @property
    def messages(self) -> int:
        """How many requests are in flight."""
        return self.ledger.holdings

    @property
    def bytes(self) -> int:
        """How many bytes they hold, each at least `MESSAGE_BYTES`."""
        return self.ledger.bytes

    def enter(self, caller: str, expected: int) -> Holding | Refusal:
        """Admit a request of `caller` that announces `expected` bytes, or say why not. The holding must be released."""
        if self.draining:
            return Refusal.DRAINING
        holding = self.ledger.open(caller, expected)
        if holding is None:
            return Refusal.BUSY
        self.admitted += 1
        return holding
