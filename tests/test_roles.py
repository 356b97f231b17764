"""An instance builds the half of the application that its roles need, over either store, and nothing of the other."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from valkey.asyncio import BlockingConnectionPool

from app.ingest.write.table_writer import TableWriter
from app.query.cache import BoundedMemoryStore, Cache
from app.query.tail.stream import Tails
from app.record import Record
from app.runtime.clock import SystemClock
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.sink import StorageWriteAppender
from app.stores.duckdb.store import EmbeddedAppender
from sluice.testing.service import SETTINGS, running
from tests.table_server import bigquery_settings, found, resource_of

TABLES = (records_table(Record), rejects_table())
APPENDERS = {"embedded": EmbeddedAppender, "bigquery": StorageWriteAppender}
MEMORY, VALKEY = "", "valkey://127.0.0.1:1/0"
CACHES = {MEMORY: BoundedMemoryStore, VALKEY: BlockingConnectionPool}
KINDS: tuple[Any, ...] = (*APPENDERS.values(), TableWriter, *CACHES.values(), Cache, Tails)
ROLES = [("ingest",), ("query",), ("ingest", "query")]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> set[type]:
    """The kinds of which there has been an object since the test began."""
    kinds: set[type] = set()

    def recorded(kind: Any, build: Callable[..., None]) -> Callable[..., None]:
        def init(self: Any, *arguments: Any, **named: Any) -> None:
            kinds.add(kind)
            build(self, *arguments, **named)

        return init

    for kind in KINDS:
        monkeypatch.setattr(kind, "__init__", recorded(kind, kind.__init__))
    return kinds


def store(backend: str) -> contextlib.AbstractContextManager[dict[str, str]]:
    """Give the settings of a store that can be opened."""
    if backend == "embedded":
        return contextlib.nullcontext({"data_path": ":memory:"})
    return bigquery_settings({table.name: found(resource_of(table)) for table in TABLES})


@pytest.mark.parametrize("cache_url", [MEMORY, VALKEY], ids=["memory", "valkey"])
@pytest.mark.parametrize("backend", ["embedded", "bigquery"])
@pytest.mark.parametrize("roles", ROLES, ids="+".join)
async def test_an_instance_builds_the_halves_of_its_roles(
    roles: tuple[str, ...], backend: str, cache_url: str, made: set[type]
) -> None:
    """A reader opens no appender and has no writer; an instance that only ingests has no cache and no Valkey."""
    expected: set[type] = set()
    if "ingest" in roles:
        expected |= {APPENDERS[backend], TableWriter}
    if "query" in roles:
        expected |= {CACHES[cache_url], Cache, Tails}
    with store(backend) as settings:
        async with running(
            SETTINGS.replace(**settings, roles=roles, cache_url=cache_url, push_principals=()),
            SystemClock(),  # the first watermark is waited for, and no server stores it here
        ) as service:
            answer = await service.started()
            assert (answer.status_code, answer.json()["status"]) == (200, "ready")
            assert set(answer.json()["sinks"]) == ({table.name for table in TABLES} if "ingest" in roles else set())
            assert (answer.json()["store"]["reads"] is not None) == ("query" in roles)
            await service.app.instance.drain(1.0)
            assert (await service.client.get("/health/ready")).json()["status"] == "draining"
    assert made == expected
