"""How the service logs: JSON lines as Cloud Logging reads them, or readable lines on a terminal."""

import logging
import sys
import time
from typing import TextIO

import msgspec


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
