"""`sluice smoke` against services that do not work: it says what is wrong, and in time."""

from typing import Any

import msgspec
import pytest

from sluice.__main__ import main
from sluice.testing.pace import patience_s
from tests.answering import answering
from tests.smoking import smoke

READY = {"status": "ready", "system": "s", "version": "1", "store": {"kind": "bigquery", "reads": None}, "sinks": {}}
SCHEMA = {"tables": [{"path": "/v1/records", "id": "id", "columns": [], "schema_version": "v"}]}
ONE = {"example": {"id": "x"}, "schema": {"properties": {"id": {"type": "string"}}}}
OPENAPI = {
    "paths": {"/v1/records": {"post": {"requestBody": {"content": {"application/json": ONE}}}}},
    "components": {"schemas": {}},
}
WINDOW = {"since": "2026-01-31T12:00:00Z", "until": "2026-01-31T12:01:00Z"}
PAGE: dict[str, Any] = {"records": [], "next_cursor": None, "resume_cursor": "c", "window": WINDOW, "poll_after": 0.2}
STORED = {"records": [{"index": 0, "status": "stored", "delivery_key": "http:k:0", "id": "x"}]}


def double(**changed: tuple[int, Any]) -> dict[str, tuple[int, str, bytes]]:
    """Return the answers of a service that takes a record and never shows it, with some changed (`feed=(503, {})`)."""
    answers: dict[str, tuple[str, tuple[int, Any]]] = {
        "ready": ("/health/ready", (200, READY)),
        "schema": ("/v1/schema", (200, SCHEMA)),
        "openapi": ("/openapi/openapi.json", (200, OPENAPI)),
        "feed": ("/v1/records", (200, PAGE)),
        "post": ("POST /v1/records", (201, STORED)),
        "rejects": ("/v1/rejects", (200, PAGE)),
    }
    return {
        path: (status, "application/json", msgspec.json.encode(body))
        for path, (status, body) in ((path, changed.get(name, usual)) for name, (path, usual) in answers.items())
    }


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sluice.example.com", "expected a base URL"),
        ("http://sluice.example.com", "a token must not be sent over http"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the token leaves this machine."""
    assert main(["smoke", "--url", url, "--token", "secret"]) == 2
    assert said in capsys.readouterr().err


async def test_a_feed_that_never_shows_the_record_fails_in_time() -> None:
    """Bounded by --within, and the report says where to look."""
    with answering(double()) as url:
        never = await smoke("--url", url, "--within", "1.2", "--json")
    assert never.status == 1
    assert "did not appear in the feed within 1.2 s" in never.step("feed")
    assert "the last window ended at 2026-01-31T12:01:00Z" in never.step("feed")
    assert "Check that SLUICE_SETTLE_S is below this time" in never.step("feed")
    assert float(never.report["steps"][-1]["took_s"]) < patience_s(5)


async def test_a_sink_that_is_not_active_fails_with_its_reason() -> None:
    """What the readiness says reaches the report."""
    sink = {"state": "NO_TABLE", "stuck": False, "detail": "Not found: p.d.records", "help": "docs/runbook.md#x"}
    with answering(double(ready=(503, READY | {"sinks": {"records": sink}}))) as url:
        ended = await smoke("--url", url, "--json")
    said = "not ready: table records: NO_TABLE, Not found: p.d.records (see docs/runbook.md#x)"
    assert ended.step("ready") == said
