"""What the service counts, and how it logs.

Counts are plain integers on the hot path; OpenTelemetry reads them when it collects, so that counting costs
an addition.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

import msgspec
from opentelemetry.metrics import CallbackOptions, Meter, Observation


class Counters:
    """What has happened in this process since it started."""

    def __init__(self) -> None:
        self.stored_records = 0
        self.duplicate_messages = 0
        self.rejected_records: Counter[str] = Counter()
        """By reason."""
        self.push_answers: Counter[int] = Counter()
        """By status."""

    def snapshot(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {
            "stored_records": self.stored_records,
            "duplicate_messages": self.duplicate_messages,
            "rejected_records": dict(self.rejected_records),
            "push_answers": {str(status): count for status, count in self.push_answers.items()},
        }


def observe(counters: Counters, meter: Meter) -> None:
    """Let OpenTelemetry collect `counters` through `meter`."""

    def stored(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(counters.stored_records)

    def duplicates(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(counters.duplicate_messages)

    def rejected(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {"reason": reason}) for reason, count in counters.rejected_records.items()]

    def answers(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, {"http.response.status_code": status}) for status, count in counters.push_answers.items()
        ]

    meter.create_observable_counter("sluice.records.stored", [stored], "{record}", "Records made durable")
    meter.create_observable_counter("sluice.messages.duplicate", [duplicates], "{message}", "Copies recognised")
    meter.create_observable_counter("sluice.records.rejected", [rejected], "{record}", "Records rejected, by reason")
    meter.create_observable_counter("sluice.push.answers", [answers], "{request}", "Answers to pushes, by status")


def observe_states(state_of: Callable[[], Mapping[str, str]], meter: Meter) -> None:
    """Let OpenTelemetry collect how each table stands: 1 under its state's name, which alerts can count."""

    def states(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(1, {"table": table, "state": state}) for table, state in state_of().items()]

    meter.create_observable_gauge("sluice.sink.state", [states], "1", "How each table of the store stands, by state")


class _JsonLines(logging.Formatter):
    """One JSON object a line, with the members that Cloud Logging reads.

    https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "severity": record.levelname,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            line["message"] += "\n" + self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure_logging(stream: TextIO | None = None) -> None:
    """Send the service's logs to `stream`, or stdout: readable lines on a terminal, JSON lines elsewhere."""
    stream = sys.stdout if stream is None else stream
    handler = logging.StreamHandler(stream)
    readable = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(readable if stream.isatty() else _JsonLines())
    logger = logging.getLogger("sluice")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
