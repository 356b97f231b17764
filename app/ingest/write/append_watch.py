"""Measure appends: rows, bytes, duration and outcome, in metrics and in spans."""

from collections.abc import Sequence
from typing import NamedTuple

from opentelemetry.trace import Span

from app.environment import Environment
from app.runtime.clock import MICROSECONDS
from app.stores.sink import Outcome, QuotaExceeded, RowsHeld, RowsRefused, SetupError, Stored, TooLarge, Uncertain
from app.telemetry import attributes as names
from app.telemetry.tracing import end_span


class Begun(NamedTuple):
    """An append in flight."""

    table: str
    at_us: int
    span: Span | None


class AppendWatch:
    """Measures the appends of all writers. `system` is the store's name in traces."""

    def __init__(self, environment: Environment, *, system: str) -> None:
        self._metrics, self._tracing = environment.metrics, environment.tracing
        self._clock, self._system = environment.clock, system

    def begin(self, table: str, rows: int, size: int, messages: Sequence[Span]) -> Begun:
        """Record that an append of `rows` rows and `size` bytes begins; `messages` are the spans of traced ones."""
        self._metrics.append_rows.record(rows, table)
        self._metrics.append_size.record(size, table)
        span = None
        if messages:
            attributes: dict[str, str | int] = {
                names.DB_SYSTEM: self._system,
                names.DB_COLLECTION: table,
                names.DB_BATCH_SIZE: rows,
                names.APPEND_SIZE: size,
            }
            span = self._tracing.append(messages, attributes)
        return Begun(table, self._clock.elapsed_us(), span)

    def late(self, table: str, rows: int) -> None:
        """Count late rows, which are appended once more."""
        self._metrics.late_rows[table] += rows

    def end(self, begun: Begun, outcome: Outcome | None) -> None:
        """Record how an append ended; None means that it was abandoned."""
        word = _WORDS[type(outcome)]
        took_s = (self._clock.elapsed_us() - begun.at_us) / MICROSECONDS
        self._metrics.append_duration.record(took_s, begun.table, word)
        if begun.span is not None:
            end_span(begun.span, {names.OUTCOME: word}, None if word == "stored" else word)


_WORDS: dict[type, str] = {
    Stored: "stored",
    RowsRefused: "refused",
    RowsHeld: "held",
    TooLarge: "too_large",
    Uncertain: "uncertain",
    QuotaExceeded: "quota",
    SetupError: "setup",
    type(None): "given_up",
}
