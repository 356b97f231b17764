"""Whoever gets traces and metrics may fail in every way: requests are answered, memory is bounded, stopping ends."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from threading import Event
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from google.api_core.retry import retry_unary
from google.auth import _exponential_backoff

from app.settings.load import Settings
from sluice.testing.pace import patience_s
from sluice.testing.service import GOOD, authorization, envelope, running
from tests.support.process import free_port
from tests.telemetry.cloud_servers import CloudServer, Fault
from tests.telemetry.watched_service import EXPORTING, caller, traced

pytestmark = EXPORTING
EXPORTERS = ("Otel", "telemetry")  # how their threads are named


@pytest.fixture(autouse=True)
def _no_thread_outlives_its_test(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End what still tries to export: it would go on for two minutes, and log into other tests."""
    over = Event()

    def sleep(seconds: float) -> None:
        if over.wait(seconds):
            raise ConnectionError("the test is over")

    for module in (retry_unary, _exponential_backoff):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    yield
    over.set()
    cloud.release()
    for thread in threading.enumerate():
        if thread.name.startswith(EXPORTERS):
            thread.join(10)


def everything(traces_url: str, metrics_url: str) -> Settings:
    """Return settings of a service that traces all and sends traces and metrics there."""
    told: dict[str, Any] = {"metrics": ("cloud", "prometheus"), "cloud_telemetry_url": metrics_url, "trace_ratio": 1.0}
    return traced(traces_url, metrics_interval_s=3600.0, **told)


@pytest.mark.parametrize("fault", ["unavailable", "hang", "permission_denied", "invalid_argument", "down", "no_token"])
async def test_no_request_notices_that_telemetry_fails(
    cloud: CloudServer, caplog: pytest.LogCaptureFixture, fault: Fault | str
) -> None:
    """Pushes are stored, reads answered, and the end waits a second at most; the log says what was lost, once or so."""
    down = f"http://127.0.0.1:{free_port()}"
    urls = (cloud.url, cloud.otlp.url) if fault != "down" else (down, down)
    cloud.fault = None if fault in {"down", "no_token"} else fault  # type: ignore[assignment] # one of them
    cloud.otlp.has_tokens = fault != "no_token"
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(everything(*urls)))
        for number in range(5):
            body = envelope(msgspec.json.encode(GOOD | {"id": str(number)}), str(number), caller().attributes)
            answer = await service.client.post("/pubsub/push", content=body, headers=authorization())
            assert answer.status_code == 204
            assert (await service.client.get("/v1/records")).status_code == 200
            assert (await service.client.get("/metrics")).status_code == 200
        begun_s = time.monotonic()
        await stack.aclose()
        assert time.monotonic() - begun_s < patience_s(10)  # a collector that hangs would be waited for a minute
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said
    assert len(said) <= 25  # one a metric, at most
    assert (cloud.exported == []) == (fault != "no_token")  # Cloud Trace's own API takes no token here
    assert cloud.rules.series == {}
