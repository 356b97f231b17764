"""The real process: whatever happens, what it writes is one JSON object a line, or readable lines on a terminal."""

from pathlib import Path
from typing import Any

import msgspec

from app.auth.grants import new_key
from sluice.testing.service import authorization, envelope
from tests.support.process import Process, serving

SECRET = "Violet-Crumble-4711"


async def _lines(service: Process) -> list[dict[str, Any]]:
    """Return all that the process wrote, to stdout and stderr alike; each line has to be a line of the log."""
    assert service.process.stdout is not None
    written = service.said + (await service.process.stdout.read()).decode().splitlines()
    assert SECRET not in "".join(written)
    lines = [msgspec.json.decode(line) for line in written]
    assert all(isinstance(line, dict) and {"severity", "time", "message"} <= set(line) for line in lines)
    return lines


async def test_from_start_to_end_a_process_writes_lines_of_json_without_payloads(tmp_path: Path) -> None:
    """Records that are refused, and more of them than are logged; tokens that are refused."""
    poison = [
        b'{"id": 1, "timestamp": "%s"}' % SECRET.encode(),
        b'{"id": "a", "timestamp": "%s", "data": "%s"}' % (SECRET.encode(), SECRET.encode()),
        SECRET.encode(),
    ]
    key = new_key()
    async with serving(tmp_path / "data.duckdb", system="orders") as (service, client):
        for number in range(9):
            body = envelope(poison[number % 3], message_id=f"m{number}", attributes={"a": SECRET})
            answer = await client.post("/pubsub/push", content=body, headers=authorization())
            assert answer.status_code == 204
        for token in (key, f"eyJ{SECRET}{SECRET}.eyJ{SECRET}.{SECRET}"):
            refused = await client.get(f"/v1/records/{SECRET}?x={SECRET}", headers={"Authorization": f"Bearer {token}"})
            assert refused.status_code in {400, 401}
        assert await service.terminate() == 0
        lines = await _lines(service)
    assert key not in repr(lines)
    rejections = [line for line in lines if line["message"].startswith("rejected 1 of the records of message m")]
    assert [line["message"].split()[7] for line in rejections] == ["m0;", "m1;", "m2;", "m3;", "m4;"]
    assert all(line["logging.googleapis.com/labels"]["system"] == "orders" for line in lines)
    assert next(line["message"] for line in lines if line["severity"] == "INFO").startswith("listening on http://")
