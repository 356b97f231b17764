"""Watermarks over gRPC and REST: rows settle within seconds, and instances that left hold nothing back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.clock import MICROSECONDS, SystemClock
from app.runtime.instants import TimeRange
from app.schema.table import records_table
from app.stores.backend import Backend, open_backend
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.watermarks import INSTANCES
from app.stores.query import Rows
from app.stores.sink import SetupError, SinkState, Stored
from sluice.testing.pace import patience_s
from tests.contract.bigquery import _settings
from tests.encoding import encoded, whole_envelope

if TYPE_CHECKING:
    from tests.support.local_bigquery import Double

RECORDS = records_table(Record)


@asynccontextmanager
async def instance(place: TableAddress) -> AsyncIterator[Backend]:
    """Run the store of one instance."""
    settings = _settings(place).replace(
        poll_s=0.1,
        settle_s=3_600.0,  # so that nothing settles by it here
        clock_skew_s=0.1,  # stamps of an instance that joins lie ahead of its clock by twice that
    )
    backend = open_backend(settings, [RECORDS], SystemClock())
    try:
        yield backend
    finally:
        await backend.close()


def row(backend: Backend, name: str) -> bytes:
    """Return an encoded record."""
    record = Record(id=name, timestamp=datetime(2026, 1, 31, tzinfo=UTC))
    return encoded(backend.appender(RECORDS), record, whole_envelope(Message(key=name, data=b"")))


async def settled(backend: Backend) -> list[str]:
    """Return the ids of the records that are settled."""
    if backend.runner.learn_horizon is not None:
        await backend.runner.learn_horizon()
    horizon_us = backend.runner.horizon_us("records")
    query = Rows(
        table="records",
        within=TimeRange(horizon_us - 3_600 * MICROSECONDS, horizon_us),
        lookback_us=60 * MICROSECONDS,
        columns=("id", "ingest_time", "delivery_key"),
        limit=10,
    )
    return [found["id"] for found in (await backend.runner.rows(query)).rows]


async def settles(backend: Backend, *names: str) -> None:
    """Wait until these records are settled."""
    async with asyncio.timeout(patience_s(20)):
        while await settled(backend) != [*names]:
            await SystemClock().sleep(0.3)  # each look is two queries, dear ones over local-bigquery


@pytest.mark.slow
async def test_a_row_settles_within_seconds(local_bigquery: "Double") -> None:
    """Also for a reader that stores nothing; when all have left, and when one comes again."""
    place = local_bigquery.fresh(RECORDS)
    async with instance(place) as reader:
        for names in (["a"], ["a", "b"]):
            async with instance(place) as writer:
                assert await writer.appender(RECORDS).append([row(writer, names[-1])]) == Stored()
                await settles(reader, *names)
        await settles(reader, "a", "b")


async def test_nothing_is_stored_without_the_table_of_instances(local_bigquery: "Double") -> None:
    """Readers could pass it."""
    place = local_bigquery.fresh(RECORDS)
    access = BigQueryClients(place)
    access.client().delete_table(place.table_id(INSTANCES))
    access.close()
    async with instance(place) as backend:
        appender = backend.appender(RECORDS)
        outcome = await appender.append([row(backend, "a")])
        assert isinstance(outcome, SetupError)
        assert outcome.state is SinkState.NOT_FOUND
        assert f"{place.dataset}._instances" in outcome.detail
        assert await appender.check() == outcome
        assert await settled(backend) == []
