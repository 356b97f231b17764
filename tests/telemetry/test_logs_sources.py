"""Whatever a process has to say comes through one handler, however often and wherever it is said."""

import asyncio
import io
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from app.runtime.clock import MICROSECONDS
from app.telemetry.logs import configure_logging, end_logging
from tests.telemetry.logged import read

pytestmark = pytest.mark.usefixtures("log")
_LOGGERS = ["sluice.test", "google.auth", "opentelemetry.sdk", "_granian", "asyncio"]


def test_configuring_again_logs_once() -> None:
    """First before the settings are known, then with what they say."""
    # A server that another test starts in this process sets its logger up for itself alone.
    server = logging.getLogger("_granian")
    server.handlers, server.propagate = [], True
    server.setLevel(logging.NOTSET)
    first, second = io.StringIO(), io.StringIO()
    configure_logging(first)
    configure_logging(second, labels={"system": "orders"})
    for name in _LOGGERS:
        logging.getLogger(name).error("it failed")
    assert first.getvalue() == ""
    assert [line["logger"] for line in read(second)] == _LOGGERS


def test_a_fault_that_repeats_is_told_five_times_and_then_counted() -> None:
    """Tracebacks too, whatever the arguments; another exception at the same place is another fault."""
    stream, elapsed = io.StringIO(), [0]
    configure_logging(stream, elapsed_us=lambda: elapsed[0])
    log = logging.getLogger("sluice.test")

    def fail(error: Exception, number: int) -> None:
        log.error("batch %d failed", number, exc_info=error)

    for number in range(1_239):
        fail(ValueError("x"), number)
    fail(KeyError("x"), 9_999)
    assert [line["message"] for line in read(stream)] == [f"batch {number} failed" for number in (0, 1, 2, 3, 4, 9_999)]
    elapsed[0] = 61 * MICROSECONDS
    fail(ValueError("x"), 1_239)
    last = read(stream)[-1]
    assert last["message"] == "batch 1239 failed (and 1,234 more like it in the last 61 s)"
    assert last["repeated"] == 1_234
    assert "stack_trace" in last


def test_what_was_kept_back_is_told_by_the_next_line_of_any_kind_or_at_the_end() -> None:
    """The first line that was kept back stands for the others, once."""
    stream, elapsed = io.StringIO(), [0]
    configure_logging(stream, elapsed_us=lambda: elapsed[0])
    log = logging.getLogger("sluice.test")
    for number in range(8):
        log.warning("push %d failed", number)
    elapsed[0] = 100 * MICROSECONDS
    log.info("another matter")
    for number in range(7):
        log.warning("read %d failed", number)
    end_logging()
    end_logging()
    told = [(line["message"], line.get("repeated")) for line in read(stream)[5:]]
    assert told[:2] == [("another matter", None), ("push 5 failed (and 2 more like it in the last 100 s)", 2)]
    assert told[2:7] == [(f"read {number} failed", None) for number in range(5)]
    assert told[7:] == [("read 5 failed (and 1 more like it in the last 0 s)", 1)]


def test_warnings_are_logged_each_by_itself(log: io.StringIO) -> None:
    """Their template is the same, and says nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        for number in range(7):
            warnings.warn(f"old way {number} of 'secret'", DeprecationWarning, stacklevel=1)
    lines = read(log)
    assert len(lines) == 7
    assert all(line["logger"] == "py.warnings" and "secret" not in line["message"] for line in lines)


async def test_a_task_whose_failure_nobody_asked_for_is_logged_without_its_values(log: io.StringIO) -> None:
    """As is whatever else reaches the loop's exception handler."""
    loop = asyncio.get_running_loop()
    loop.call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError("a 'secret'"), "extra": "secret"}
    )
    (line,) = read(log)
    assert line["logger"] == "asyncio"
    assert line["message"].startswith("Task exception was never retrieved")
    assert line["stack_trace"].endswith("ValueError: a '…'")
    assert "secret" not in log.getvalue()


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


def test_a_stream_that_is_gone_costs_the_line_and_nothing_else(
    log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service goes on, and no value is printed elsewhere instead."""
    log.close()
    logging.getLogger("sluice.test").warning("a %s", "secret")
    for _ in range(6):
        logging.getLogger("sluice.test").warning("again")
    end_logging()
    assert capsys.readouterr() == ("", "")


def test_importing_the_module_configures_nothing() -> None:
    """Whoever has the application in a process of their own keeps their own logging."""
    look = (
        "import logging, sys, threading\n"
        "before = (sys.excepthook, threading.excepthook, sys.unraisablehook)\n"
        "import app.telemetry.logs, app.main\n"
        "assert before == (sys.excepthook, threading.excepthook, sys.unraisablehook)\n"
        "assert not logging.getLogger().handlers and not logging.getLogger('sluice').handlers\n"
    )
    subprocess.run([sys.executable, "-c", look], check=True)
