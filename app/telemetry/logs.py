"""Configure logging: JSON lines for Cloud Logging, or readable lines on a terminal.

Everything that the service or a library logs goes through one handler. It redacts secrets and values of records
(redaction), and suppresses repetitions (repetition).
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from types import TracebackType
from typing import Any, TextIO

import msgspec

from app.telemetry.log_deduplication import LogDeduplicator, SuppressedLines
from app.telemetry.log_lines import OURS, Line, SpanIds, json_line, line_of, terminal_line
from app.telemetry.redaction import cut

_LIBRARIES = ("asyncio", "google", "grpc", "litestar", "opentelemetry", "py.warnings")
_MAX_TEMPLATE_CHARS, _MAX_SAMPLE_CHARS = 200, 1_000
_log = logging.getLogger(OURS)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes each record as a line without secrets and values, and suppresses repetitions."""

    def __init__(self, stream: TextIO, write: Callable[[Line], str], elapsed_us: Callable[[], int]) -> None:
        super().__init__(stream)
        self._write, self._repetition = write, LogDeduplicator[Line](elapsed_us)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            span = _current_span()
            passes, untold = self._repetition.passes(_template(record), lambda: _sample(line_of(record, span)))
            if passes:
                line = line_of(record, span)
                if untold is not None:
                    line = msgspec.structs.replace(line, repeated=untold.lines, span_s=untold.span_s)
                self._put(line)
            self._tell(self._repetition.over())
        except Exception:
            self.handleError(record)

    def finish(self) -> None:
        """Report the suppressed lines; nothing may be logged afterwards."""
        with self.lock or threading.RLock():
            try:
                self._tell(self._repetition.rest())
            except Exception:  # the stream is gone, see handleError
                return

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignore a line that cannot be written: logging would print its values to stderr."""

    def _tell(self, untold: list[SuppressedLines[Line]]) -> None:
        for each in untold:
            again = {"time_s": time.time(), "repeated": each.lines - 1, "span_s": each.span_s}
            self._put(msgspec.structs.replace(each.sample, **again))

    def _put(self, line: Line) -> None:
        encoding = self.stream.encoding or "utf-8"
        text = self._write(line).encode(encoding, "backslashreplace").decode(encoding)
        self.stream.write(text + self.terminator)
        self.flush()


def configure_logging(
    stream: TextIO | None = None,
    *,
    project: str = "",
    labels: Mapping[str, str] | None = None,
    elapsed_us: Callable[[], int] = lambda: time.monotonic_ns() // 1_000,
) -> None:
    """Make this process log to `stream`, or stdout: readable lines on a terminal, JSON lines elsewhere.

    Libraries' logs, warnings and uncaught exceptions are logged the same way. `project` holds the traces that lines
    refer to; `labels` are on every line. Call it again once these are known.
    """
    stream = sys.stdout if stream is None else stream
    stated = dict(labels or {})
    if stream.isatty():
        coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"  # https://no-color.org
        handler = _Lines(stream, lambda line: terminal_line(line, coloured=coloured), elapsed_us)
    else:
        handler = _Lines(stream, lambda line: json_line(line, project, stated), elapsed_us)
    root = logging.getLogger()
    end_logging()
    root.handlers[:] = [handler, *(each for each in root.handlers if not isinstance(each, _Lines))]
    root.setLevel(logging.WARNING)
    for name in _LIBRARIES:
        _bring_in(logging.getLogger(name), logging.WARNING)
    _bring_in(_log, logging.INFO)
    # On import, google.api_core stops propagation to the root, unless it finds the logger already configured.
    google = logging.getLogger("google")
    google.handlers, google.propagate = [handler], False
    logging.captureWarnings(capture=True)
    sys.excepthook, threading.excepthook, sys.unraisablehook = _uncaught, _uncaught_in_thread, _unraisable


def end_logging() -> None:
    """Report the lines suppressed so far: at the end of the process, nothing else would."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Lines):
            handler.finish()


def _bring_in(logger: logging.Logger, level: int) -> None:
    logger.handlers, logger.propagate = [], True
    logger.setLevel(level)


def _current_span() -> SpanIds | None:
    api: Any = sys.modules.get("opentelemetry.trace")  # there is no span before it is imported
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return SpanIds(f"{context.trace_id:032x}", f"{context.span_id:016x}", bool(context.trace_flags.sampled))


def _template(record: logging.LogRecord) -> Hashable:
    """Return the key that similar lines share: it includes the class of an exception, but not its message."""
    words = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    if words == "%s" and isinstance(record.args, tuple) and isinstance(record.args[0], str):  # how warnings are logged
        words = record.args[0]
    error = record.exc_info[0].__qualname__ if record.exc_info and record.exc_info[0] else ""
    return record.name, record.levelno, words[:_MAX_TEMPLATE_CHARS], error


def _sample(line: Line) -> Line:
    return msgspec.structs.replace(line, message=cut(line.message, _MAX_SAMPLE_CHARS), stack="")


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
