import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.telemetry.logs import configure_logging
from tests.telemetry.cloud_servers import CloudServer, serving_cloud
from tests.telemetry.logged import logging_as_before


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudServer]:
    """Give a Cloud Trace and a Telemetry API of the test's own, with credentials for them."""
    with serving_cloud() as server:
        server.otlp.lend_credentials(monkeypatch, tmp_path)
        yield server


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return what is logged; afterwards the logging of this process is as it was."""
    stream = io.StringIO()
    with logging_as_before():
        configure_logging(stream)
        yield stream
