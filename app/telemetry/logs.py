"""Configure logging: JSON lines for Cloud Logging, or readable lines on a terminal.

Everything that the service or a library logs goes through one handler. Its formatter removes secrets and quoted values
from each line (redaction), and its filter limits the lines of a fault that repeats.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import msgspec
from opentelemetry import trace

from app.telemetry.redaction import MAX_MESSAGE_CHARS, cut, stack_of, without_secrets, without_values

QUOTES_NAMES = {"quotes_names": True}
"""The `extra` of a line that quotes names, of settings and tables, and no values of records: its quotations stay."""
_OURS = "sluice"
_LINES, _WINDOW_S, _MAX_TEMPLATES = 5, 60.0, 1_000
# Characters that would end a line or control a terminal, except the line breaks of a stack.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_MEMBER = "logging.googleapis.com/"
_log = logging.getLogger(_OURS)


class _Line(logging.Formatter):
    """Formats a record for a terminal: time of day, severity, part of the service, message; a stack below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        part = record.name.removeprefix("sluice.")
        line = f"{clock} {record.levelname:<8} {part:<10} {_message(record)}\n{_stack(record)}"
        return "\n    ".join(line.rstrip("\n").split("\n"))


class _JsonLine(_Line):
    """Formats a record as a JSON object with the members that Cloud Logging and Error Reporting read.

    https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
    """

    def __init__(self, project: str, labels: Mapping[str, str]) -> None:
        super().__init__()
        self._traces, self._labels = f"projects/{project}/traces/" if project else "", dict(labels)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # The line number is an int64, which Cloud Logging's JSON represents as a string.
        place = {"file": record.pathname, "line": str(record.lineno), "function": record.funcName or ""}
        members: dict[str, Any] = {
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC),
            "message": _message(record),
            "logger": record.name,
            _MEMBER + "sourceLocation": place,
        }
        if self._labels:
            members[_MEMBER + "labels"] = self._labels
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            members[_MEMBER + "trace"] = self._traces + trace.format_trace_id(span.trace_id)
            members[_MEMBER + "spanId"] = trace.format_span_id(span.span_id)
            members[_MEMBER + "trace_sampled"] = bool(span.trace_flags.sampled)
        if stack := _stack(record):
            members["stack_trace"] = stack
        if repeated := getattr(record, "repeated", 0):
            members["repeated"] = repeated
        return msgspec.json.encode(members).decode()


class RepetitionFilter(logging.Filter):
    """Lets five lines of a template and exception class pass in a minute; the next one says how many were left out."""

    def __init__(self, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._elapsed_s, self._windows = elapsed_s, dict[tuple[object, ...], tuple[float, int]]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record; set its `repeated`."""
        template = _text(record) if record.msg == "%s" else _template(record)
        key = (record.name, record.levelno, template[:200], record.exc_info and record.exc_info[0])
        now_s = self._elapsed_s()
        begun_s, lines = self._windows.get(key, (now_s - _WINDOW_S, 0))
        if now_s < begun_s + _WINDOW_S:
            self._windows[key] = (begun_s, lines + 1)
            return lines < _LINES
        if len(self._windows) >= _MAX_TEMPLATES:
            self._windows.clear()
        self._windows[key] = (now_s, 1)
        record.repeated = max(lines - _LINES, 0)
        return True


def configure_logging(
    stream: TextIO | None = None, *, project: str = "", labels: Mapping[str, str] | None = None
) -> None:
    """Make this process log to `stream`, or stdout: readable lines on a terminal, JSON lines elsewhere.

    Libraries' logs, warnings and uncaught exceptions are logged the same way. `project` holds the traces that lines
    refer to; `labels` are on every line. Call it again once these are known.
    """
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    if handler.stream.isatty():
        handler.setFormatter(_Line())
    else:
        handler.setFormatter(_JsonLine(project, labels or {}))
    handler.addFilter(RepetitionFilter())
    root, google = logging.getLogger(), logging.getLogger("google")
    root.handlers[:] = [handler, *(each for each in root.handlers if not isinstance(each.formatter, _Line))]
    root.setLevel(logging.WARNING)
    _log.setLevel(logging.INFO)
    # On import, google.api_core stops propagation to the root, unless it finds the logger already configured.
    google.handlers, google.propagate = [handler], False
    logging.raiseExceptions = False  # of a line that cannot be written, logging would print the values to stderr
    logging.captureWarnings(capture=True)
    sys.excepthook, threading.excepthook, sys.unraisablehook = _uncaught, _uncaught_in_thread, _unraisable


def _message(record: logging.LogRecord) -> str:
    """Return the message without secrets and quoted values, with the number of repetitions."""
    text = without_secrets(_text(record)) if hasattr(record, "quotes_names") else without_values(_text(record))
    repeated = getattr(record, "repeated", 0)
    return _printable(cut(text, MAX_MESSAGE_CHARS)) + (f" (and {repeated:,} more like it)" if repeated else "")


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not match, or whose own methods fail: the template alone
        return _template(record)


def _template(record: logging.LogRecord) -> str:
    return record.msg if isinstance(record.msg, str) else type(record.msg).__name__


def _stack(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    return "" if error is None else _printable(stack_of(error))


def _printable(text: str) -> str:
    """Return `text` with control characters, and those that UTF-8 cannot encode, as escape sequences."""
    shown = _CONTROL.sub(lambda character: f"\\x{ord(character[0]):02x}", text)
    return shown.encode("utf-8", "backslashreplace").decode()


def _uncaught(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        _log.info("interrupted")
    else:
        _log.critical("the process ended with an unexpected failure", exc_info=(kind, error, stack))


def _uncaught_in_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        _log.error("a thread ended with an unexpected failure", exc_info=failed.exc_value)


def _unraisable(failed: "sys.UnraisableHookArgs") -> None:
    if failed.exc_value is not None:
        _log.error("a failure could not be reported to its caller", exc_info=failed.exc_value)
