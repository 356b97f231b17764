"""How much may be worked on at once; what is beyond is refused at once, which Pub/Sub takes as a sign to slow down."""

import enum


class Refusal(enum.Enum):
    """Why a request is not admitted."""

    BUSY = "busy"
    DRAINING = "draining"


class Admission:
    """Counts the messages and bytes being worked on against their limits."""

    def __init__(self, *, max_messages: int, max_bytes: int) -> None:
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self.messages = self.bytes = self.admitted = 0
        self.draining = False

    def enter(self, byte_count: int) -> Refusal | None:
        """Admit a message of `byte_count` bytes, or say why not. What is admitted must `leave`."""
        if self.draining:
            return Refusal.DRAINING
        # A lone message is admitted whatever its size: otherwise one over the limit could never be.
        if self.messages and (self.messages >= self._max_messages or self.bytes + byte_count > self._max_bytes):
            return Refusal.BUSY
        self.messages += 1
        self.admitted += 1
        self.bytes += byte_count
        return None

    def adjust(self, byte_count: int) -> None:
        """Count `byte_count` more bytes (or fewer) for what was admitted: it was not as large as declared."""
        self.bytes += byte_count

    def leave(self, byte_count: int) -> None:
        """Give back what `enter` took."""
        self.messages -= 1
        self.bytes -= byte_count
