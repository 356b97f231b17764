"""The error matrix: more than one append may carry, said by BigQuery and by gRPC."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest

from app.ingest.verdict import Durable
from app.stores.sink import SinkState
from tests.stores.bigquery.rig import Rig, rigged

ROWS = [f"row{number}" for number in range(8)]


Limited = Callable[[], AbstractAsyncContextManager[Rig]]


@asynccontextmanager
async def limited_by_bigquery() -> AsyncIterator[Rig]:
    """Run a rig whose BigQuery takes less than the service was set to send."""
    async with rigged() as rig:
        rig.server.max_request_bytes = 4_000
        yield rig


LIMITED = [limited_by_bigquery, partial(rigged, max_receive_bytes=4_000)]


@pytest.mark.parametrize("limited", LIMITED, ids=["BigQuery", "gRPC"])
async def test_a_request_that_is_too_large_is_halved(limited: Limited) -> None:
    """Every row is stored once; gRPC says RESOURCE_EXHAUSTED, which is no quota, and no sender is throttled."""
    async with limited() as rig:
        message = rig.send("a", *ROWS, padding=1_000)
        assert await rig.told_later(message) == [Durable()]
        assert rig.stored == dict.fromkeys(ROWS, 1)
        assert rig.rejected == []
        assert (len(rig.server.streams) == 1) is (limited is limited_by_bigquery), "only gRPC ends the stream"
        assert rig.stands() is SinkState.ACTIVE


@pytest.mark.parametrize("limited", LIMITED, ids=["BigQuery", "gRPC"])
async def test_a_row_that_is_too_large_is_rejected_and_no_other(limited: Limited) -> None:
    """It can never be stored, so it does not come back for ever."""
    async with limited() as rig:
        rig.server.is_bad = lambda row_id: row_id == "huge"
        small, huge = rig.send("a", "a1", "a2"), rig.send("b", "huge", padding=5_000)
        assert await rig.told_later(small, huge) == [Durable(), Durable()]
        assert rig.rejected == ["huge"]
        assert set(rig.stored) == {"a1", "a2"}
