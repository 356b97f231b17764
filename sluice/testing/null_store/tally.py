"""What the null store was given, and how long it takes to acknowledge it."""


class Tally:
    """Counts acknowledged rows, requests and bytes; `ack_s` counts for requests that arrive from then on."""

    def __init__(self, ack_s: float) -> None:
        self.ack_s = ack_s
        self._rows = self._requests = self._bytes = 0

    def add(self, rows: int, size: int) -> None:
        """Count one request of `size` bytes."""
        self._rows += rows
        self._requests += 1
        self._bytes += size

    def counts(self) -> dict[str, int]:
        """Return the counts since the start."""
        return {"rows": self._rows, "requests": self._requests, "bytes": self._bytes}
