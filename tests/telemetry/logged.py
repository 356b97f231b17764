"""What a test needs to read a log, and to leave the logging of its process as it was."""

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

MEMBER = "logging.googleapis.com/"
_LOGGERS = ("", "sluice", "asyncio", "google", "grpc", "litestar", "opentelemetry", "py.warnings")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the JSON objects of the lines."""
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Leave the loggers and hooks of this process as they were."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    raises = logging.raiseExceptions
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
            patch.setattr(place, name, getattr(place, name))
        yield
    logging.captureWarnings(capture=False)
    logging.raiseExceptions = raises
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
