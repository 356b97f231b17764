"""What was acknowledged is there, whatever happens to the process: real processes, real signals, a ledger."""

import asyncio
import itertools
import random
import re
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sluice.testing.pace import patience_s
from sluice.testing.service import authorization, envelope
from tests.long_form import IS_LONG, long
from tests.support.process import serving, start

KILLS = 4 if IS_LONG else 2
PUSHERS = 20


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


async def test_acknowledged_messages_survive_kill_9(tmp_path: Path) -> None:
    """Killed again and again under load, the store has every message that was answered 204, each once."""
    rng = random.Random(20_261_121)
    ledger: set[int] = set()
    unanswered: set[int] = set()
    numbers = itertools.count()
    for _ in range(KILLS):
        async with serving(tmp_path / "data.duckdb") as (process, client):
            headers = authorization()
            enough = len(ledger) + rng.randint(50, 300)
            # What was not answered is delivered again, as Pub/Sub would.
            for number in sorted(unanswered):
                assert await push(client, number, headers) == 204
                ledger.add(number)
            unanswered.clear()

            async def pusher(client: httpx.AsyncClient, headers: dict[str, str], enough: int) -> None:
                while len(ledger) < enough:
                    number = next(numbers)
                    (ledger if await push(client, number, headers) == 204 else unanswered).add(number)

            pushers = [asyncio.create_task(pusher(client, headers, enough)) for _ in range(PUSHERS)]
            await asyncio.wait(pushers, return_when=asyncio.FIRST_COMPLETED)
            # The others are still waiting for their answers.
            flying = [asyncio.create_task(push(client, number, headers)) for number in itertools.islice(numbers, 50)]
            first = next(numbers) - 50
            await asyncio.sleep(0)
            await process.kill()
            for number, status in enumerate(await asyncio.gather(*flying), start=first):
                (ledger if status == 204 else unanswered).add(number)
            await asyncio.gather(*pushers)
    async with serving(tmp_path / "data.duckdb") as (_, client):
        headers = authorization()
        for number in sorted(unanswered):
            assert await push(client, number, headers) == 204
        records = await read_all(client)
        ids = [row["id"] for row in records]
        assert len(ids) == len(set(ids)), "a message was returned twice"
        assert {f"r{number}" for number in ledger} <= set(ids), "an acknowledged message is missing"
        assert {f"r{number}" for number in unanswered} <= set(ids), "a redelivered message is missing"
        for row in records:
            assert row["data"] == {"n": int(row["id"][1:])}
        times = [row["ingest_time"] for row in records]
        assert times == sorted(times), "time went back over a restart"


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
