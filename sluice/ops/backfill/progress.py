"""The counts of a backfill, and how people follow them: one changing line on a terminal, plain lines elsewhere."""

from collections.abc import Callable
from typing import TextIO

import msgspec

from app.ingest.pipeline import Rejection
from app.runtime.clock import MICROSECONDS

_TERMINAL_US, _PLAIN_US = MICROSECONDS // 4, 10 * MICROSECONDS
_BAR, _SHOWN_REJECTS = 24, 5


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
    """Shows counts. `total_bytes` is the size of all files, `elapsed_us` the clock's."""

    def __init__(self, stream: TextIO, elapsed_us: Callable[[], int], total_bytes: int) -> None:
        self.counts = Counts()
        self._stream, self._elapsed_us, self._total_bytes = stream, elapsed_us, max(total_bytes, 1)
        self._is_terminal = stream.isatty()
        self._begun_us = self._shown_us = elapsed_us()
        self._has_line = False

    def show(self, read_bytes: int, path: str) -> None:
        """Show how far the backfill is, unless that was just shown."""
        now_us = self._elapsed_us()
        if now_us - self._shown_us < (_TERMINAL_US if self._is_terminal else _PLAIN_US):
            return
        self._shown_us = now_us
        share = min(read_bytes / self._total_bytes, 1.0)
        per_s = self.counts.total * MICROSECONDS // max(now_us - self._begun_us, 1)
        text = f"{share:4.0%}  {summary(self.counts)}, {per_s:,}/s  {path}"
        if self._is_terminal:
            done = round(share * _BAR)
            self._stream.write(f"\r\x1b[K[{'#' * done}{'.' * (_BAR - done)}] {text}")
            self._has_line = True
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def reject(self, path: str, row: int, rejection: Rejection) -> None:
        """Count a reject, and show the first ones."""
        self.counts.rejected += 1
        if self.counts.rejected <= _SHOWN_REJECTS:
            field = f" `{rejection.field}`" if rejection.field else ""
            more = "; the next ones are only counted" if self.counts.rejected == _SHOWN_REJECTS else ""
            self.say(f"rejected: {path}, record {row}: {rejection.reason}{field}: {rejection.detail[:300]}{more}")

    def say(self, text: str) -> None:
        """Write a line of its own."""
        self._stream.write(("\r\x1b[K" if self._has_line else "") + f"{text}\n")
        self._stream.flush()
        self._has_line = False


def summary(counts: Counts) -> str:
    """Return the counts in words."""
    before = f" ({counts.rejected_before:,} of them before)" if counts.rejected_before else ""
    rejected = counts.rejected + counts.rejected_before
    return f"{counts.stored:,} stored, {counts.known:,} already there, {rejected:,} rejected{before}"
