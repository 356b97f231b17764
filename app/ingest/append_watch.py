"""Take note of appends: how long they take, of how much, how they end; and a span for those of traced messages."""

from collections.abc import Sequence
from typing import NamedTuple

from opentelemetry.trace import Span

from app.runtime.clock import MICROSECONDS, Clock
from app.stores.sink import Outcome, QuotaExceeded, RowsRefused, SetupError, Stored, TooLarge, Uncertain
from app.telemetry import attributes as names
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing, end_span


class Begun(NamedTuple):
    """An append under way."""

    table: str
    at_us: int
    span: Span | None


class AppendWatch:
    """Takes note of the appends of all writers. `system` is the store's name in traces."""

    def __init__(self, metrics: Metrics, tracing: Tracing, clock: Clock, *, system: str) -> None:
        self._metrics, self._tracing, self._clock, self._system = metrics, tracing, clock, system

    def begin(self, table: str, rows: int, size: int, messages: Sequence[Span]) -> Begun:
        """Take note that an append of `rows` rows and `size` bytes begins; `messages` are those that are traced."""
        self._metrics.append_rows.record(rows, table)
        self._metrics.append_size.record(size, table)
        span = None
        if messages:
            told: dict[str, str | int] = {
                names.DB_SYSTEM: self._system,
                names.DB_COLLECTION: table,
                names.DB_BATCH_SIZE: rows,
                names.APPEND_SIZE: size,
            }
            span = self._tracing.append(messages, told)
        return Begun(table, self._clock.elapsed_us(), span)

    def late(self, table: str, rows: int) -> None:
        """Take note of rows that were late, and are appended once more."""
        self._metrics.late_rows[table] += rows

    def end(self, begun: Begun, outcome: Outcome | None) -> None:
        """Take note of how an append ended; None: it was given up."""
        word = outcome_word(outcome)
        took_s = (self._clock.elapsed_us() - begun.at_us) / MICROSECONDS
        self._metrics.append_duration.record(took_s, begun.table, word)
        if begun.span is not None:
            end_span(begun.span, {names.OUTCOME: word}, None if word == "stored" else word)


def outcome_word(outcome: Outcome | None) -> str:
    """Return what metrics and spans call an outcome."""
    return _WORDS[type(outcome)]


_WORDS: dict[type, str] = {
    Stored: "stored",
    RowsRefused: "refused",
    TooLarge: "too_large",
    Uncertain: "uncertain",
    QuotaExceeded: "quota",
    SetupError: "setup",
    type(None): "given_up",
}
