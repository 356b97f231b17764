"""What was rejected over HTTP is replayed as it came: NDJSON, gzip, and both."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, Service, running
from tests.contract.test_service import read, replayed

NDJSON = {"content-type": "application/x-ndjson; charset=utf-8"}
GZIP = {"content-encoding": "gzip"}
_RECORDS = [GOOD | {"id": name} for name in ("a", "b", "c")]
LINES = msgspec.json.Encoder().encode_lines(_RECORDS)
SMALL: dict[str, Any] = {"max_records_per_message": 2}


def tight(path: Path, **changed: Any) -> Any:
    """Return settings of a service over a file, which takes less than one with the defaults."""
    return SETTINGS.replace(data_path=str(path), **changed)


async def replay_all(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay what was rejected, as Pub/Sub would push it."""
    for number, message in enumerate(await replayed(service, monkeypatch, "--since", "-PT1H")):
        attributes = {name.replace("-", "_"): value for name, value in message.attributes.items()}
        answer = await service.push_bytes(message.data, message_id=f"replay-{number}", **attributes)
        assert answer.status_code == 204


@pytest.mark.parametrize(
    ("body", "headers", "limits", "reason"),
    [
        (LINES, NDJSON, SMALL, "too_many_records"),
        (gzip.compress(LINES, mtime=0), NDJSON | GZIP, {"max_decompressed_bytes": 20}, "too_large"),
        (gzip.compress(LINES, mtime=0), NDJSON | GZIP, {"max_record_bytes": 20}, "too_large"),
    ],
    ids=["ndjson", "ndjson gzip too large", "each line gzip"],
)
async def test_a_replay_reads_the_bytes_as_they_were_sent(  # noqa: PLR0917 - the parts of one case
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    headers: dict[str, str],
    limits: dict[str, Any],
    reason: str,
) -> None:
    """Rejected whole or line by line, stored after a limit was raised."""
    clock, path = FakeClock(), tmp_path / "store.duckdb"
    async with running(tight(path, **limits), clock) as service:
        answer = await service.client.post("/v1/records", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "rejected")
        assert {reject["reason"] for reject in await read(service, "/v1/rejects")} == {reason}
    async with running(tight(path), clock) as service:
        await replay_all(service, monkeypatch)
        assert [record["id"] for record in await read(service)] == ["a", "b", "c"]
