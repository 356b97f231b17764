"""What is logged is what Cloud Logging reads, or what somebody at a terminal can read."""

import io
import logging

import pytest
from opentelemetry import trace

from app.telemetry.logs import configure_logging
from tests.telemetry.logged import MEMBER, Terminal, read

pytestmark = pytest.mark.usefixtures("log")


def test_logs_are_json_lines_as_cloud_logging_reads_them(log: io.StringIO) -> None:
    """One object a line: severity, time, message, and where in the code it was said."""
    logging.getLogger("sluice.test").info("hello %s, %d of %.1f", "world", 2, 3.0)
    (line,) = read(log)
    assert (line["severity"], line["message"], line["logger"]) == ("INFO", "hello world, 2 of 3.0", "sluice.test")
    assert line["time"][10] == "T"
    assert line["time"].endswith("Z")
    location = line[MEMBER + "sourceLocation"]
    assert location["file"] == __file__
    assert location["line"].isdigit()
    assert location["function"] == "test_logs_are_json_lines_as_cloud_logging_reads_them"
    assert set(line) == {"severity", "time", "message", "logger", MEMBER + "sourceLocation"}


def test_a_failure_has_its_stack_in_the_member_that_error_reporting_reads(log: io.StringIO) -> None:
    """In `stack_trace`, and not in the message, which says what failed."""
    try:
        int("a secret")
    except ValueError:
        logging.getLogger("sluice.test").exception("it failed")
    (line,) = read(log)
    assert line["message"] == "it failed"
    assert line["stack_trace"].startswith("Traceback (most recent call last):\n  File ")
    assert line["stack_trace"].endswith("ValueError: invalid literal for int() with base 10: '…'")


def test_a_line_names_its_span_and_what_is_the_same_for_all_lines() -> None:
    """So that a message's lines are found by its trace, and an instance's by its labels."""
    stream = io.StringIO()
    configure_logging(stream, project="my-project", labels={"system": "orders", "instance": "a1"})
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        logging.getLogger("sluice.test").warning("within")
    logging.getLogger("sluice.test").warning("without")
    within, without = read(stream)
    assert within[MEMBER + "trace"] == f"projects/my-project/traces/{'0' * 29}abc"
    assert within[MEMBER + "spanId"] == f"{'0' * 13}def"
    assert within[MEMBER + "trace_sampled"] is True
    assert within[MEMBER + "labels"] == without[MEMBER + "labels"] == {"system": "orders", "instance": "a1"}
    assert not {MEMBER + "trace", MEMBER + "spanId", MEMBER + "trace_sampled"} & set(without)


def test_whatever_is_said_is_one_json_object_a_line(log: io.StringIO) -> None:
    """Line breaks, half a surrogate pair, control characters, arguments that do not fit or cannot be shown."""

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    logging.getLogger().handlers[1:] = []  # those of pytest raise
    logger = logging.getLogger("sluice.test")
    logger.warning("a\nb\x1b[31m\ud800\u2028c")
    logger.warning("%d of %d", "one", "secret")
    logger.warning("%s", Mute())
    logger.warning(ValueError("a 'secret'"))
    logging.getLogger("library").warning("%s %s", "secret")  # noqa: PLE1206 - a defect of a library
    assert [line["message"] for line in read(log)] == [
        "a\nb\\x1b[31m\\ud800\\x2028c",
        "%d of %d",
        "%s",
        "a '…'",
        "%s %s",
    ]


def test_logs_on_a_terminal_are_readable_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aligned, with a short name and no JSON; what has several lines is set in; NO_COLOR is heard."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    configure_logging(stream)
    logging.getLogger("sluice.push").warning("careful")
    logging.getLogger("sluice").info("on\ntwo lines")
    first, second, third = stream.getvalue().splitlines()
    assert first[8:] == " WARNING  push       careful"
    assert second[8:] == " INFO     sluice     on"
    assert third == "    two lines"
