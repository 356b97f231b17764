"""Log a repeated line a few times, then how often it repeats: a fault must not fill the log, nor hide in it."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from app.runtime.clock import MICROSECONDS

MAX_LINES = 5
WINDOW_S = 60.0
MAX_TEMPLATES = 1_000

_Sample = TypeVar("_Sample")


class SuppressedLines(msgspec.Struct, Generic[_Sample], frozen=True):
    """A summary of suppressed lines: how many, over how many seconds, and the first of them."""

    lines: int
    span_s: int
    sample: _Sample


class _Window(msgspec.Struct, Generic[_Sample]):
    begun_us: int
    passed: int = 0
    silenced: int = 0
    sample: _Sample | None = None


class LogDeduplicator(Generic[_Sample]):
    """Lets `max_lines` lines of a template pass in a window of `window_s` seconds, and counts the others.

    It remembers `max_templates` templates; if there are more within one window, all the others count as one. Suppressed
    lines are reported exactly once: with the template's next line that passes, or by `over` or `rest`.
    """

    def __init__(
        self,
        elapsed_us: Callable[[], int],
        *,
        max_lines: int = MAX_LINES,
        window_s: float = WINDOW_S,
        max_templates: int = MAX_TEMPLATES,
    ) -> None:
        self._elapsed_us, self._max_lines, self._max_templates = elapsed_us, max_lines, max_templates
        self._window_us = round(window_s * MICROSECONDS)
        self._windows: dict[Hashable, _Window[_Sample]] = {}
        self._others: list[SuppressedLines[_Sample]] = []
        self._look_again_us = self._full_until_us = 0

    def passes(self, template: Hashable, sample: Callable[[], _Sample]) -> tuple[bool, SuppressedLines[_Sample] | None]:
        """Return whether a line may be written, and the lines of its template suppressed in the previous window.

        `sample` makes the line that represents the suppressed ones; it is called for the first of them.
        """
        now_us = self._elapsed_us()
        if template not in self._windows and not self._has_room(now_us):
            template = None  # represents all the others, one above the limit
        window, untold = self._windows.get(template), None
        if window is not None and now_us >= window.begun_us + self._window_us:
            untold, window = _untold(window, now_us), None
        if window is None:
            window = self._windows[template] = _Window(now_us)
        if window.passed < self._max_lines:
            window.passed += 1
            return True, untold
        if not window.silenced:
            window.sample = sample()
        window.silenced += 1
        return False, None

    def over(self) -> list[SuppressedLines[_Sample]]:
        """Return the suppressed lines of ended windows, and forget these; checks once per window."""
        now_us = self._elapsed_us()
        if now_us >= self._look_again_us:
            self._look_again_us = now_us + self._window_us
            self._forget(now_us)
        return self._taken()

    def rest(self) -> list[SuppressedLines[_Sample]]:
        """Return all suppressed lines, and forget everything: no more lines will follow."""
        self._forget(self._elapsed_us(), all_of_them=True)
        return self._taken()

    def _has_room(self, now_us: int) -> bool:
        if len(self._windows) >= self._max_templates and now_us >= self._full_until_us:
            self._forget(now_us)
            begun_us = min((window.begun_us for window in self._windows.values()), default=now_us)
            self._full_until_us = begun_us + self._window_us
        return len(self._windows) < self._max_templates

    def _forget(self, now_us: int, *, all_of_them: bool = False) -> None:
        for template, window in [*self._windows.items()]:
            if all_of_them or now_us >= window.begun_us + self._window_us:
                del self._windows[template]
                untold = _untold(window, now_us)
                if untold is not None:
                    self._others.append(untold)

    def _taken(self) -> list[SuppressedLines[_Sample]]:
        taken, self._others = self._others, []
        return taken


def _untold(window: _Window[_Sample], now_us: int) -> SuppressedLines[_Sample] | None:
    if not window.silenced or window.sample is None:
        return None
    return SuppressedLines(window.silenced, -(-(now_us - window.begun_us) // MICROSECONDS), window.sample)
