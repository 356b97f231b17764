"""Whatever a process has to say comes through one handler, however often and wherever it is said."""

import io
import logging
import sys
import threading

import msgspec
import pytest

from app.telemetry.logs import RepetitionFilter
from tests.telemetry.logged import read

pytestmark = pytest.mark.usefixtures("log")


def test_a_fault_that_repeats_is_logged_five_times_a_minute_and_then_counted() -> None:
    """Tracebacks too, whatever the arguments; another exception, or a line that is all argument, is another fault."""
    elapsed = [0.0]
    repetitions = RepetitionFilter(lambda: elapsed[0])
    logger = logging.getLogger("sluice.test")

    def passes(message: str, argument: object, error: BaseException) -> logging.LogRecord | None:
        exc_info = (type(error), error, None)
        record = logger.makeRecord(logger.name, logging.ERROR, "file.py", 1, message, (argument,), exc_info)
        return record if repetitions.filter(record) else None

    written = [passes("batch %d failed", number, ValueError("x")) for number in range(1_239)]
    assert [record is not None for record in written] == [True] * 5 + [False] * 1_234
    assert passes("batch %d failed", 1, KeyError("x"))
    assert all(passes("%s", f"erased {number}", ValueError("x")) for number in range(9))
    elapsed[0] = 61.0
    again = passes("batch %d failed", 1_239, ValueError("x"))
    assert again is not None
    formatter = logging.getLogger().handlers[0].formatter
    assert formatter is not None
    line = msgspec.json.decode(formatter.format(again))
    assert line["message"] == "batch 1239 failed (and 1,234 more like it)"
    assert line["repeated"] == 1_234


def test_failures_that_nobody_catches_are_logged(log: io.StringIO) -> None:
    """Of the process, of a thread, of a finalizer: none prints a traceback to stderr."""

    class Broken:
        def __del__(self) -> None:
            raise error

    error = ValueError("a 'secret'")
    sys.excepthook(ValueError, error, None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    thread = threading.Thread(target=int, args=("a secret",))
    thread.start()
    thread.join()
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(), None, None)))
    Broken()
    assert [(line["severity"], line["message"]) for line in read(log)] == [
        ("CRITICAL", "the process ended with an unexpected failure"),
        ("INFO", "interrupted"),
        ("ERROR", "a thread ended with an unexpected failure"),
        ("ERROR", "a failure could not be reported to its caller"),
    ]
    assert "secret" not in log.getvalue()
