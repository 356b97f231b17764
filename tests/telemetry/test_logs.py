"""What is logged is what Cloud Logging reads."""

import io
import logging
from collections.abc import Iterator

import msgspec
import pytest

from app.telemetry.logs import configure_logging


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def _logger() -> Iterator[None]:
    """Leave the service's logger as it was."""
    logger = logging.getLogger("sluice")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.usefixtures("_logger")
def test_logs_are_json_lines_as_cloud_logging_reads_them() -> None:
    """One object a line, a traceback included, with severity and time."""
    stream = io.StringIO()
    configure_logging(stream)
    log = logging.getLogger("sluice.test")
    log.info("hello %s", "world")
    try:
        int("a defect")
    except ValueError:
        log.exception("it failed")
    first, second = (msgspec.json.decode(line) for line in stream.getvalue().splitlines())
    assert (first["severity"], first["message"], first["logger"]) == ("INFO", "hello world", "sluice.test")
    assert first["time"].endswith("Z")
    assert second["severity"] == "ERROR"
    assert second["message"].startswith("it failed\nTraceback")


@pytest.mark.usefixtures("_logger")
def test_logs_on_a_terminal_are_readable_lines() -> None:
    """Whoever watches is not made to read JSON; and configuring twice logs once."""
    stream = Terminal()
    configure_logging(stream)
    configure_logging(stream)
    logging.getLogger("sluice.test").warning("careful")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("WARNING careful")
