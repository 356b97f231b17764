"""A seek over every store: each record once in the table, however far apart its deliveries are."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from app.ingest.decode.envelope import Message, open_push
from app.ingest.pipeline import Pipelines, Receipt
from app.ingest.verdict import DURABLE
from app.ingest.write.dedupe import copies_after_seek
from app.runtime.clock import SystemClock
from app.schema.table import rejects_table
from app.settings.load import Settings
from app.stores.backend import open_backend
from tests.contract.stores import RECORDS, REJECTS, Engine
from tests.ops.backfill.archive import PUBLISHED
from tests.ops.backfill.running import STREAMS, record, stored_keys
from tests.support.unwatched import environment_of

TABLES = (RECORDS, REJECTS)


@pytest.fixture
def settings(engine: Engine) -> Settings:
    """Give settings whose look-back recognises no copy, so that every second row would count."""
    found = engine.loop.run(engine.settings(TABLES))
    return found.replace(dedupe_lookback_s=30.001, settle_s=0.05, append_deadline_s=10.0)


def keys(engine: Engine, settings: Settings) -> tuple[Counter[str], Counter[str]]:
    """Return how often each delivery key is in the records, and in the rejects."""
    records, rejects = engine.loop.run(stored_keys(settings))
    return Counter(records), Counter(rejects)


async def pushed(settings: Settings, *messages: Message) -> list[Receipt]:
    """Store messages as a service with these settings does."""
    clock = SystemClock()
    backend = open_backend(settings, (*STREAMS.tables, rejects_table()), clock)
    pipelines = Pipelines(
        environment_of(clock, settings),
        STREAMS,
        {table.name: backend.appender(table) for table in (*STREAMS.tables, rejects_table())},
        system="test",
        earlier=copies_after_seek(settings, backend.runner, clock),
    )
    try:
        work: list[Coroutine[Any, Any, Receipt]] = [
            pipelines.by_stream["records"].process(message) for message in messages
        ]
        return await asyncio.gather(*work)
    finally:
        await pipelines.close()
        await backend.close()


def push(message_id: str, data: bytes) -> Message:
    """Return a message as Pub/Sub pushes it."""
    headers = {
        b"x-goog-pubsub-message-id": message_id.encode(),
        b"x-goog-pubsub-publish-time": PUBLISHED.isoformat().encode(),
    }
    return open_push(headers, data)


def line(number: int, **members: Any) -> bytes:
    """Return a record as JSON."""
    return json.dumps(record(number, **members)).encode()


def test_a_seek_stores_no_message_twice(engine: Engine, settings: Settings) -> None:
    """A redelivered message whose records are in the table, or in the rejects, adds nothing; a lost one is stored."""
    half, whole = push("1", line(1)), push("1", b"[" + line(1) + b"," + line(2) + b"]")
    bad = push("2", b"{}")
    engine.loop.run(pushed(settings, half, bad))
    sought = settings.replace(seek_since="2026-01-31T00:00:00Z")
    receipts = engine.loop.run(pushed(sought, whole, bad, push("3", line(3))))
    assert [receipt.verdict for receipt in receipts] == [DURABLE] * 3
    assert [receipt.known for receipt in receipts] == [1, 0, 0]
    records, rejects = keys(engine, settings)
    assert sorted(records.values()) == [1, 1, 1]
    assert [*rejects.values()] == [1]
