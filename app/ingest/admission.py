"""How much may be worked on at once; what is beyond is refused at once, which Pub/Sub takes as a sign to slow down."""

import enum

from app.runtime.ledger import Holding, Ledger


class Refusal(enum.Enum):
    """Why a request is not admitted."""

    BUSY = "busy"
    DRAINING = "draining"


class Admission:
    """Admits requests that write, within the limits of one ledger: what arrives, and all that is made of it."""

    def __init__(self, *, max_messages: int, max_bytes: int) -> None:
        self.ledger = Ledger(max_bytes=max_bytes, max_places=max_messages)
        self.admitted = 0
        self.draining = False

    @property
    def messages(self) -> int:
        """How many requests are being worked on."""
        return self.ledger.places

    @property
    def bytes(self) -> int:
        """How many bytes they hold."""
        return self.ledger.bytes

    def enter(self, caller: str, expected: int) -> Holding | Refusal:
        """Admit a request of `caller` that announces `expected` bytes, or say why not. Its holding must be released."""
        if self.draining:
            return Refusal.DRAINING
        holding = self.ledger.open(caller, expected)
        if holding is None:
            return Refusal.BUSY
        self.admitted += 1
        return holding
