"""The counts of a backfill, and the lines by which people follow them."""

from collections.abc import Callable
from typing import TextIO

import msgspec

from app.ingest.pipeline import Rejection
from app.runtime.clock import MICROSECONDS

_INTERVAL_US = 10 * MICROSECONDS
_SHOWN_REJECTS = 5


class Counts(msgspec.Struct):
    """The records so far; of an archived message that was rejected whole, one.

    `known` are those that an earlier run, or a push, has stored; `rejected_before` those that an earlier run rejected.
    """

    stored: int = 0
    known: int = 0
    rejected: int = 0
    rejected_before: int = 0

    @property
    def total(self) -> int:
        """All records read."""
        return self.stored + self.known + self.rejected + self.rejected_before


class Progress:
    """Writes the counts to `stream` every ten seconds; `elapsed_us` is the clock's."""

    def __init__(self, stream: TextIO, elapsed_us: Callable[[], int]) -> None:
        self.counts = Counts()
        self._stream, self._elapsed_us = stream, elapsed_us
        self._begun_us = self._shown_us = elapsed_us()

    def show(self, file: str) -> None:
        """Show how far the backfill is, and in which file, unless that was just shown."""
        now_us = self._elapsed_us()
        if now_us - self._shown_us >= _INTERVAL_US:
            self._shown_us = now_us
            per_s = self.counts.total * MICROSECONDS // max(now_us - self._begun_us, 1)
            self.say(f"{summary(self.counts)}, {per_s:,}/s  {file}")

    def reject(self, path: str, row: int, rejection: Rejection) -> None:
        """Count a reject, and show the first ones."""
        self.counts.rejected += 1
        if self.counts.rejected <= _SHOWN_REJECTS:
            field = f" `{rejection.field}`" if rejection.field else ""
            more = "; the next ones are only counted" if self.counts.rejected == _SHOWN_REJECTS else ""
            self.say(f"rejected: {path}, record {row}: {rejection.reason}{field}: {rejection.detail[:300]}{more}")

    def say(self, text: str) -> None:
        """Write a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()


def summary(counts: Counts) -> str:
    """Return the counts in words."""
    before = f" ({counts.rejected_before:,} of them before)" if counts.rejected_before else ""
    rejected = counts.rejected + counts.rejected_before
    return f"{counts.stored:,} stored, {counts.known:,} already there, {rejected:,} rejected{before}"
