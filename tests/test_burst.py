"""A burst of pushes at the real process, over a store that takes its time."""

import asyncio
import resource
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.runtime.clock import SystemClock
from sluice.testing.misbehaving.faults import Fault
from sluice.testing.misbehaving.server import misbehaving
from sluice.testing.service import authorization, envelope
from tests.long_form import IS_LONG
from tests.raw_client import peak_bytes
from tests.support.process import serving

PUSHES = 10_000 if IS_LONG else 3_000
RECORD = b'{"id": "a", "timestamp": "2026-01-31T12:00:00Z"}'
GROWTH_BYTES = 400 << 20
"""10,000 connections and the 2,000 messages admitted came to 260 MiB when this was written."""


async def test_a_burst_of_pushes_is_answered_204_or_429_in_bounded_memory() -> None:
    """What is admitted is stored, the rest is told to come later; nothing is held for a request that is refused."""
    async with misbehaving(SystemClock()) as store:
        store.decide = lambda _: Fault(answer_delay_s=0.05)
        settings = {
            "backend": "bigquery",
            "bigquery_project": "p",
            "bigquery_dataset": "d",
            "bigquery_storage_url": store.url,
            "bigquery_rest_url": "http://127.0.0.1:1",  # nobody asks for a record back
        }
        async with serving(Path("unused"), **settings) as (service, client):
            assert await push(client, "warm") == 204
            before_bytes = peak_bytes(service.process.pid)
            answers, acknowledged = await burst(service.url)
            grown_bytes = peak_bytes(service.process.pid) - before_bytes
            assert set(answers) <= {204, 429}, answers
            assert answers[204] > 0
            assert sum(answers.values()) == PUSHES
            stored = Counter(row["message_id"] for row in store.shelf.rows())
            assert stored.keys() == acknowledged | {"warm"}, "exactly what was acknowledged is stored"
            assert grown_bytes < GROWTH_BYTES, f"grew by {grown_bytes >> 20} MiB"
            assert await service.terminate() == 0


async def push(client: httpx.AsyncClient, number: str) -> int:
    """Push one message."""
    answer = await client.post("/pubsub/push", content=envelope(RECORD, number), headers=authorization())
    return answer.status_code


async def burst(url: str) -> tuple[Counter[int], set[str]]:
    """Push all messages at once, on as many connections; return how many got which status, and who got 204.

    The connections are opened beforehand, a few at a time: how a kernel takes in ten thousand at once is its own.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port
    few = asyncio.Semaphore(200)

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with few:
            return await asyncio.open_connection(host, port)

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < PUSHES + 1_000:
        pytest.skip(f"SKIPPED LOUDLY: this shell may open {files} files (`ulimit -n 16384`)")
    connections = await asyncio.gather(*(connect() for _ in range(PUSHES)))
    token = authorization()["Authorization"]
    for number, (_, writer) in enumerate(connections):
        body = envelope(RECORD, str(number))
        head = f"POST /pubsub/push HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
    lines = await asyncio.gather(*(reader.readline() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    statuses = [int(line.split()[1]) for line in lines]
    return Counter(statuses), {str(number) for number, status in enumerate(statuses) if status == 204}
