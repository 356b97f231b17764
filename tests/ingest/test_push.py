"""The push endpoint's edges: what Pub/Sub does not do, but a network or a defect may."""

from typing import Any

import pytest

from sluice.testing import tokens
from sluice.testing.service import GOOD, envelope, running


async def test_an_unexpected_failure_is_500_and_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The defect goes to the log; the caller gets a problem without a traceback, and the next push works."""
    async with running() as service:
        with monkeypatch.context() as broken:

            def fail(*_: Any) -> None:
                raise RuntimeError("a secret detail")

            broken.setattr("app.ingest.push.open_push", fail)
            answer = await service.push(GOOD)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "secret" not in answer.text
        assert "a secret detail" in caplog.text
        assert (await service.push(GOOD)).status_code == 204


async def test_a_request_that_breaks_off_stores_nothing() -> None:
    """Half a body is not taken for a message, and its place in flight is free again."""
    async with running() as service:
        whole = envelope(b"{}")
        events = iter([{"type": "http.request", "body": whole[:20], "more_body": True}, {"type": "http.disconnect"}])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(events, {"type": "http.disconnect"})  # as a server says again and again

        async def send(event: Any) -> None:
            sent.append(event)

        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {tokens.token()}".encode())]
        scope = {"type": "http", "method": "POST", "path": "/pubsub/push", "headers": headers}
        await service.app(scope, receive, send)
        assert sent[0]["status"] == 400
        assert service.ingest.in_flight.holdings == 0
        assert (await service.client.get("/v1/rejects")).json()["records"] == []
