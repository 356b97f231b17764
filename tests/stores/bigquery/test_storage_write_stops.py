"""The error matrix: what stops the writer, for how long, and what a look at the table has to do with it."""

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.ingest.write.batching import BatchLimits
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import Answer, Fault
from tests.stores.bigquery.rig import Rig, rigged

SINGLE = BatchLimits(max_rows=1, max_bytes=1_000_000)
AWAY = SetupError(SinkState.UNREACHABLE, "no answer from the REST API")


async def rest_hangs(rig: Rig) -> None:
    """Let looks take forever, after an answer, and one that found the REST API away, some time ago."""
    rig.writer.record_check(await rig.appender.check())
    rig.table = AWAY
    rig.writer.record_check(await rig.appender.check())
    await rig.clock.advance(11)
    rig.look_takes_s = 1_000_000


@pytest.mark.parametrize(("at_once", "connections"), [(1, 1), (4, 1), (8, 2), (16, 4)])
@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [(faults.QUOTA, 10), (faults.QUOTA_ENDS_STREAM, 10), (faults.DENIED, 30)],
    ids=["quota", "quota at the end", "denied at the end"],
)
async def test_one_trouble_met_by_many_appends_is_one_pause(
    answer: Answer, pause_s: int, at_once: int, connections: int
) -> None:
    """An empty quota that sixteen appends in flight hear of lasts ten seconds, not five minutes."""
    async with rigged(max_connections=connections, limits=SINGLE) as rig:
        rig.server.decide = lambda _: Fault(stores=False, answer_gate="go", answer=answer)
        messages = [await rig.sent(f"m{number}") for number in range(at_once)]
        rig.server.gate("go").set()
        told = await rig.told(*messages)
        assert [each.retry_after_s for each in told if isinstance(each, Throttled | Unavailable)] == [pause_s] * at_once
        assert rig.writer.health.circuit.trips == 1
        rig.server.decide = lambda _: Fault()
        await rig.clock.advance(pause_s)
        assert await rig.told(rig.send("later")) == [Durable()]


async def test_a_look_that_hangs_slows_no_append(rig: Rig) -> None:
    """Rows go to another address: they are sent, and told, while nobody can look at the table."""
    await rest_hangs(rig)
    assert rig.stands() is SinkState.UNREACHABLE
    for number in range(3):
        assert await rig.told(rig.send(f"m{number}")) == [Durable()], "though the clock stands still"
    assert rig.stands() is SinkState.ACTIVE
