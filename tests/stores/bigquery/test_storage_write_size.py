"""The error matrix: more than one append may carry, said by BigQuery and by gRPC."""

import pytest

from app.ingest.retry_policy import Durable
from app.stores.sink import SinkState
from testing.misbehaving.faults import Fault, by_connection
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import Rig, rigged

ROWS = [f"row{number}" for number in range(8)]


def limit_requests(rig: Rig, max_bytes: int) -> None:
    """Let BigQuery take less than the service was set to send."""
    rig.server.max_request_bytes, rig.server.may_be_too_large = max_bytes, True


async def test_a_request_too_large_for_bigquery_is_halved(rig: Rig) -> None:
    """Until each half fits: nothing is rejected, the connection stays."""
    limit_requests(rig, 4_000)
    assert await rig.told(rig.send("a", *ROWS, padding=1_000)) == [Durable()]
    assert rig.stored == dict.fromkeys(ROWS, 1)
    assert rig.rejected == []
    assert len(rig.server.streams) == 1
    assert rig.stands() is SinkState.ACTIVE


async def test_a_row_too_large_for_bigquery_is_rejected_and_no_other(rig: Rig) -> None:
    """It can never be stored, so it does not come back forever."""
    limit_requests(rig, 4_000)
    rig.server.is_bad = lambda row_id: row_id == "huge"
    small, huge = rig.send("a", "a1", "a2"), rig.send("b", "huge", padding=5_000)
    assert await rig.told(small, huge) == [Durable(), Durable()]
    assert rig.rejected == ["huge"]
    assert rig.stored == {"a1": 1, "a2": 1}


async def test_a_request_over_grpcs_own_limit_is_halved() -> None:
    """It says RESOURCE_EXHAUSTED and ends the stream; it is no quota, and nobody is throttled."""
    async with rigged(max_receive_bytes=4_000) as rig:
        message = rig.send("a", *ROWS, padding=1_000)
        assert await rig.told_later(message) == [Durable()]
        assert rig.stored == dict.fromkeys(ROWS, 1)
        assert rig.rejected == []
        assert rig.stands() is SinkState.ACTIVE


async def test_a_row_over_grpcs_own_limit_is_rejected_and_no_other() -> None:
    """Its neighbours are stored."""
    async with rigged(max_receive_bytes=4_000) as rig:
        rig.server.is_bad = lambda row_id: row_id == "huge"
        small, huge = rig.send("a", "a1", "a2"), rig.send("b", "huge", padding=5_000)
        assert await rig.told_later(small, huge) == [Durable(), Durable()]
        assert rig.rejected == ["huge"]
        assert set(rig.stored) == {"a1", "a2"}


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_stream_that_ends_over_one_requests_size_does_not_blame_its_neighbours(position: int) -> None:
    """Three in flight, one of them too large for gRPC: only that one is rejected, whichever it is."""
    async with rigged(max_receive_bytes=4_000) as rig:
        rig.server.is_bad = lambda row_id: row_id == "huge"
        held = Fault(answer_gate="never")
        rig.server.decide = by_connection([held] * 3)
        messages = [await rig.sent(f"before{number}") for number in range(position)]
        messages.append(rig.send("m", "huge", padding=5_000))
        for number in range(2 - position):
            await turns()  # so that it gets a request of its own
            messages.append(rig.send(f"behind{number}"))
        assert await rig.told_later(*messages) == [Durable()] * 3
        assert rig.rejected == ["huge"]
        assert rig.stored == {
            message.name: 2 if message.name.startswith("before") else 1 for message in messages if message.name != "m"
        }
        assert rig.stands() is SinkState.ACTIVE
