"""A log line: how it is built from a logging call, and formatted for Cloud Logging or a terminal."""

import logging
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.telemetry.redaction import (
    MAX_MESSAGE_CHARS,
    TrustedText,
    class_name,
    cut,
    cut_inside,
    error_text,
    without_secrets,
    without_values,
)

MAX_STACK_CHARS = 30_000  # an entry of Cloud Logging has at most 256 KiB
_MAX_FRAMES, _MAX_ERRORS = 60, 16
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"


def stack_of(error: BaseException) -> str:
    """Return the traceback of an exception, after those of its causes and, for a group, those of its members.

    It is formatted as Python prints it and Error Reporting groups it: lines of code, and no values. The messages of
    exceptions, causes and notes may contain values and secrets, which are removed.
    https://cloud.google.com/error-reporting/docs/formatting-error-messages
    """
    return cut_inside(without_secrets("".join(_parts(error))).rstrip("\n"), MAX_STACK_CHARS)


def _parts(error: BaseException) -> Iterator[str]:
    chain = _chain(error)
    for each, leads in chain:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(each.__traceback__, -_MAX_FRAMES)  # the innermost frames
        yield f"{class_name(each)}: {error_text(each)}\n"
        for note in getattr(each, "__notes__", None) or ():
            yield f"{without_values(str(note))}\n"
        yield leads


def _chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """Return the exceptions that led to `error`, then itself, each with the text that introduces the next one."""
    chain: list[tuple[BaseException, str]] = []
    waiting: list[tuple[BaseException, str]] = [(error, "")]
    seen: set[int] = set()
    while waiting and len(chain) < _MAX_ERRORS:
        each, leads = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        chain.append((each, leads))
        if isinstance(each, BaseExceptionGroup):
            waiting.extend((member, "\nOne of the group that follows:\n\n") for member in each.exceptions)
        if each.__cause__ is not None:
            waiting.append((each.__cause__, _CAUSED))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append((each.__context__, _MEANWHILE))
    return chain[::-1]


OURS = "sluice"
_SEVERITIES = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"))
_COLOURS = {"CRITICAL": "1;31", "ERROR": "31", "WARNING": "33", "INFO": "32", "DEBUG": "2"}
_NAME_WIDTH = 10
# Characters that would end a line or control a terminal, except the line breaks of a stack.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_MEMBER = "logging.googleapis.com/"


class SpanIds(msgspec.Struct, frozen=True):
    """The current span when a line was logged; the ids are hexadecimal."""

    trace_id: str
    span_id: str
    is_sampled: bool


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line without secrets and values. `repeated` counts similar lines suppressed over `span_s` seconds."""

    severity: str
    time_s: float
    logger: str
    message: str
    file: str
    line: int
    function: str
    stack: str = ""
    span: SpanIds | None = None
    repeated: int = 0
    span_s: int = 0

    @property
    def text(self) -> str:
        """The message, with the number of repetitions."""
        if not self.repeated:
            return self.message
        return f"{self.message} (and {self.repeated:,} more like it in the last {self.span_s} s)"


def line_of(record: logging.LogRecord, span: SpanIds | None) -> Line:
    """Return the line for a call of the logging module. It never fails, whatever the arguments of the call."""
    error = record.exc_info[1] if record.exc_info else None
    stack = "" if error is None else stack_of(error)
    if not stack and record.stack_info:
        stack = cut(without_secrets(record.stack_info), MAX_STACK_CHARS)
    return Line(
        severity=next((name for level, name in _SEVERITIES if record.levelno >= level), "DEBUG"),
        time_s=record.created,
        logger=record.name,
        message=_printable(cut(_message(record), MAX_MESSAGE_CHARS)),
        file=record.pathname,
        line=record.lineno,
        function=record.funcName or "",
        stack=_printable(stack),
        span=span,
    )


def json_line(line: Line, project: str, labels: Mapping[str, str]) -> str:
    """Return one JSON object with the members that Cloud Logging and Error Reporting read.

    https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
    """
    seconds, rest = divmod(round(line.time_s * 1_000_000), 1_000_000)
    members: dict[str, Any] = {
        "severity": line.severity,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z",
        "message": line.text,
        "logger": line.logger,
        # The line number is an int64, which Cloud Logging's JSON represents as a string.
        _MEMBER + "sourceLocation": {"file": line.file, "line": str(line.line), "function": line.function},
    }
    if labels:
        members[_MEMBER + "labels"] = dict(labels)
    if line.span is not None:
        trace_id = line.span.trace_id
        members[_MEMBER + "trace"] = f"projects/{project}/traces/{trace_id}" if project else trace_id
        members[_MEMBER + "spanId"] = line.span.span_id
        members[_MEMBER + "trace_sampled"] = line.span.is_sampled
    if line.stack:
        members["stack_trace"] = line.stack
    if line.repeated:
        members["repeated"] = line.repeated
    return msgspec.json.encode(members).decode()


def terminal_line(line: Line, *, coloured: bool) -> str:
    """Return a human-readable line: time of day, severity, part of the service, message; a stack below it."""
    severity = f"{line.severity:<8}"
    if coloured:
        severity = f"\x1b[{_COLOURS[line.severity]}m{severity}\x1b[0m"
    clock = time.strftime("%H:%M:%S", time.localtime(line.time_s))
    text = f"{clock} {severity} {line.logger.removeprefix(f'{OURS}.'):<{_NAME_WIDTH}} {line.text}"
    return "\n    ".join(f"{text}\n{line.stack}".rstrip("\n").split("\n"))


def _message(record: logging.LogRecord) -> str:
    is_ours = record.name == OURS or record.name.startswith(f"{OURS}.")
    if is_ours and isinstance(record.msg, str):
        try:
            return without_secrets(record.msg % _arguments(record.args) if record.args else record.msg)
        except Exception:  # arguments that do not match, or whose own methods fail: the template alone
            return without_secrets(record.msg)
    if isinstance(record.msg, BaseException):
        return error_text(record.msg)
    try:  # a library's message may already contain formatted values
        return without_values(record.getMessage())
    except Exception:  # likewise
        return without_values(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__


def _arguments(given: Any) -> Any:
    if isinstance(given, Mapping):
        return {name: _argument(value) for name, value in given.items()}
    return tuple(_argument(value) for value in given)


def _argument(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | TrustedText):
        return value
    return error_text(value) if isinstance(value, BaseException) else without_values(str(value))


def _printable(text: str) -> str:
    """Return `text` with control characters, and those that UTF-8 cannot encode, as escape sequences."""
    shown = _CONTROL.sub(lambda character: f"\\x{ord(character[0]):02x}", text)
    return shown.encode("utf-8", "backslashreplace").decode()
