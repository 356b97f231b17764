"""A follower's progress, as a line that is written over on a terminal, and as a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from sluice_client.loading import Progress

_BAR_CELLS = 24
_LINE_EVERY_S = 30.0


def fraction(progress: Progress, now: datetime) -> float:
    """Return which part of the time from the beginning to now has been read."""
    if progress.is_caught_up or not progress.begin:
        return 1.0
    begin, up_to = datetime.fromisoformat(progress.begin), datetime.fromisoformat(progress.up_to)
    whole_s = (now - begin).total_seconds()
    return min(max((up_to - begin).total_seconds() / whole_s, 0.0), 1.0) if whole_s > 0 else 1.0


def bar(progress: Progress, now: datetime, per_second: float) -> str:
    """Return a line with a bar: how far, how many, how fast, up to when."""
    part = fraction(progress, now)
    cells = round(part * _BAR_CELLS)
    speed = "" if progress.is_caught_up else f"  {per_second:,.0f}/s"
    drawn = "#" * cells + "." * (_BAR_CELLS - cells)
    return f"[{drawn}] {part:4.0%}  {progress.stored:,} new records{speed}  up to {progress.up_to[:19]}Z"


class ProgressLine:
    """Shows progress on a stream: on a terminal in one line, elsewhere a line when something has changed."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic, *, is_quiet: bool = False
    ) -> None:
        """Show nothing yet."""
        self._stream, self._clock, self._is_quiet = stream or sys.stderr, clock, is_quiet
        self._is_terminal = self._stream.isatty()
        self._began_s, self._shown_s, self._shown = clock(), float("-inf"), Progress()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Show progress. Where there is no terminal: at most every half a minute, or when it has caught up."""
        if self._is_quiet:
            return
        now_s = self._clock()
        speed = progress.stored / max(now_s - self._began_s, 0.001)
        line = bar(progress, datetime.now(UTC), speed)
        if self._is_terminal:
            self._write(f"\r{line:<{self._width}}")
            self._width = len(line)
        elif now_s - self._shown_s >= _LINE_EVERY_S or self._is_news(progress):
            self._shown_s, self._shown = now_s, progress
            self._write(f"{line}\n")

    def say(self, text: str) -> None:
        """Write a line of its own."""
        self.end()
        self._write(f"{text}\n")

    def end(self) -> None:
        """Leave the line that is written over."""
        if self._width:
            self._write("\n")
        self._width = 0

    def _is_news(self, progress: Progress) -> bool:
        return progress.is_caught_up and (not self._shown.is_caught_up or progress.stored > self._shown.stored)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
