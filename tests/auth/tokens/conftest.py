"""Time stands still in these tests: tokens are made when they are collected and judged much later."""

from datetime import UTC, datetime

import pytest

from tests.auth.tokens import forge


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the issuer and the library that verifies read the time at which the tokens were made."""
    monkeypatch.setattr("time.time", lambda: float(forge.NOW))
    status = datetime.fromtimestamp(forge.NOW, UTC).replace(tzinfo=None)
    monkeypatch.setattr("google.auth._helpers.utcnow", lambda: status)
