"""The error matrix: what stops the writer, for how long, and what a look at the table has to do with it."""

import asyncio
import logging

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.ingest.write.batching import BatchLimits
from app.ingest.write.health import LOOK_AGAIN_S, watch
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import Answer, Fault, in_turn, not_stored
from sluice.testing.misbehaving.waiting import until
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


async def test_a_refused_row_waits_three_seconds_for_a_look_that_hangs(rig: Rig) -> None:
    """Then it goes by the answer alone, well within its append's deadline."""
    await rest_hangs(rig)
    message = rig.send("m", "a", "bad")
    await until(lambda: rig.looks == 3)
    await rig.clock.advance(2.9)
    assert not message.is_told
    assert await rig.told_later(message) == [Durable()]
    assert 13.9 < rig.clock.elapsed_us() / 1e6 < 14.5
    assert rig.rejected == ["bad"]
    assert rig.stored == {"a": 1}


async def test_trouble_that_nobody_meets_any_more_is_over_when_a_look_finds_nothing(rig: Rig) -> None:
    """A table that is rarely written to, as the rejects are, does not stay UNREACHABLE for weeks."""
    rig.server.decide = lambda _: not_stored(faults.DRAINING)
    watching = asyncio.create_task(watch(rig.writer, rig.appender, rig.clock))
    assert isinstance((await rig.told_later(rig.send("a", budget_s=5)))[0], Unavailable)
    assert rig.stands() is SinkState.UNREACHABLE
    await rig.clock.advance(2 * LOOK_AGAIN_S)
    assert rig.stands() is SinkState.ACTIVE
    watching.cancel()


@pytest.mark.parametrize(
    ("answer", "state"),
    [(faults.EXTRA_FIELDS, SinkState.SCHEMA_MISMATCH), (faults.DENIED, SinkState.PERMISSION_DENIED)],
    ids=["schema", "permission"],
)
async def test_trouble_that_looks_do_not_see_does_not_come_and_go(
    answer: Answer, state: SinkState, caplog: pytest.LogCaptureFixture
) -> None:
    """Appends are refused though the table looks right: one warning, ever longer pauses, until rows are stored."""
    caplog.set_level(logging.WARNING, "sluice.writer")
    async with rigged() as rig:
        rig.server.decide = lambda _: not_stored(answer)
        watching = asyncio.create_task(watch(rig.writer, rig.appender, rig.clock))
        for _ in range(300):  # a sender that tries each second
            await rig.told_later(rig.send("a"))
            assert rig.stands() is state
            await rig.clock.advance(1)
        assert len(caplog.messages) == 1
        assert len(rig.server.arrivals) < 12
        rig.server.decide = in_turn()
        await rig.clock.advance(300)
        assert await rig.told(rig.send("a")) == [Durable()]
        assert rig.stands() is SinkState.ACTIVE
        watching.cancel()
