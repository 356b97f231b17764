"""How a process ends and why it does not start; kills under load are tests/long/test_soak.py and test_chaos.py."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sluice.testing.pace import patience_s
from sluice.testing.service import authorization, envelope
from tests.long_form import long
from tests.support.process import serving, start


def record(number: int) -> bytes:
    """Return the data of the message of this number."""
    return msgspec.json.encode({"id": f"r{number}", "timestamp": "2026-01-31T12:00:00Z", "data": {"n": number}})


async def push(client: httpx.AsyncClient, number: int, headers: dict[str, str]) -> int:
    """Push the message of this number; return the status, 0 when there was no answer."""
    try:
        body = envelope(record(number), message_id=str(number))
        answer = await client.post("/pubsub/push", content=body, headers=headers)
    except httpx.TransportError:
        return 0
    return answer.status_code


async def read_all(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Follow the feed from the beginning to its end."""
    records: list[dict[str, Any]] = []
    cursor = ""
    while True:
        query = {"cursor": cursor} if cursor else {"since": "-PT1H"}
        page = (await client.get("/v1/records", params={**query, "limit": "1000"})).json()
        records += page["records"]
        if page["next_cursor"] is None:
            return records
        cursor = page["next_cursor"]


async def test_sigterm_answers_what_was_admitted_and_exits_0(tmp_path: Path) -> None:
    """Told to stop, the service refuses what is new, answers what it took, and ends in time."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        headers = authorization()
        assert await push(client, 0, headers) == 204
        flying = [asyncio.create_task(push(client, number, headers)) for number in range(1, 200)]
        await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
        assert await process.terminate() == 0
        statuses = dict(enumerate(await asyncio.gather(*flying), start=1))
    assert set(statuses.values()) <= {0, 204, 503}
    async with serving(tmp_path / "data.duckdb") as (_, client):
        stored = {row["id"] for row in await read_all(client)}
    answered = {f"r{number}" for number, status in statuses.items() if status == 204}
    assert stored == answered | {"r0"}, "what was admitted was not answered, or what was answered is not there"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"settle_s": "1"}, r"SLUICE_SETTLE_S \(1\) must be at least 22"),
        pytest.param({"record": "no.such:Type"}, r"SLUICE_RECORD='no\.such:Type' cannot be imported", marks=long),
        pytest.param({"data_path": "/dev/null/x"}, "/dev/null", marks=long),
        ({"host": "192.0.2.1", "api_principals": "a@b.example"}, "cannot listen on http://192.0.2.1"),
    ],
)
async def test_what_cannot_start_says_why_in_one_line(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    """A mistake in the configuration ends in one readable message, not a traceback."""
    defaults = {"data_path": str(tmp_path / "data.duckdb"), "token_keys_url": "http://127.0.0.1:1/"}
    process = await start(**(defaults | settings))
    async with asyncio.timeout(patience_s(60)):
        output, _ = await process.process.communicate()
    assert process.process.returncode == 2
    lines = output.decode().strip().splitlines()
    assert len(lines) == 1
    assert re.search(words, msgspec.json.decode(lines[0])["message"])


async def test_a_second_process_on_the_same_file_or_port_says_why_it_cannot_start(tmp_path: Path) -> None:
    """The file belongs to one process at a time; on one address each would take a part of the other's requests."""
    async with serving(tmp_path / "data.duckdb") as (first, client):
        port = first.url.rpartition(":")[2]
        for data_path, settings, words in (
            ("data.duckdb", {}, f"is open in process {first.process.pid}: stop it, or set another SLUICE_DATA_PATH"),
            ("other.duckdb", {"port": port}, "Address already in use"),
        ):
            second = await start(data_path=str(tmp_path / data_path), token_keys_url="http://127.0.0.1:1/", **settings)
            async with asyncio.timeout(patience_s(60)):
                output, _ = await second.process.communicate()
            assert second.process.returncode == 2
            assert words in msgspec.json.decode(output.splitlines()[0])["message"]
        assert (await client.get("/health/live")).status_code == 200
