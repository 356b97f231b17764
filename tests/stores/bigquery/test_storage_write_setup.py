"""The error matrix: quotas, missing tables and permissions, tables that changed, and what stops the writer."""

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.ingest.write.batching import BatchLimits
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import (
    Answer,
    EndStream,
    Fault,
    by_connection,
    in_turn,
    not_stored,
)
from tests.stores.bigquery.rig import Rig, rigged

MISSING = SetupError(SinkState.NOT_FOUND, "there is no table p.d.records")
MISMATCH = SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing")


def wait_s(told: object) -> float:
    """Return after how long the sender is asked to come back."""
    assert isinstance(told, Throttled | Unavailable)
    return told.retry_after_s


@pytest.mark.parametrize("answer", [faults.NOT_FOUND, faults.NOT_FOUND_ENDS_STREAM], ids=["in an answer", "at the end"])
async def test_an_old_connection_that_lost_the_table_is_replaced(rig: Rig, answer: Answer) -> None:
    """The look finds the table: the rows go again on a fresh connection, and nobody hears of it."""
    rig.server.decide = by_connection([Fault(), *[not_stored(answer)] * 5])
    assert await rig.told(rig.send("a")) == [Durable()]
    message = rig.send("b")
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a": 1, "b": 1}
    assert [arrival.connection for arrival in rig.server.arrivals] == [1, 1, 2]
    assert rig.looks == 1
    assert rig.stands() is SinkState.ACTIVE


@pytest.mark.parametrize(
    ("table", "answer"),
    [
        (MISSING, faults.NOT_FOUND),
        (MISSING, faults.NOT_FOUND_ENDS_STREAM),
        (MISMATCH, faults.EXTRA_FIELDS),
        (MISMATCH, EndStream("INVALID_ARGUMENT", faults.EXTRA_FIELDS.message, "SCHEMA_MISMATCH_EXTRA_FIELDS")),
    ],
    ids=["missing, in an answer", "missing, at the end", "misfit, in an answer", "misfit, at the end"],
)
async def test_a_table_that_is_wrong_is_named_and_heals_without_a_restart(
    rig: Rig, table: SetupError, answer: Answer
) -> None:
    """503 with the state, and no row is rejected; a look ends the pause, and a row on a fresh connection the state."""
    rig.table = table
    rig.server.decide = by_connection([not_stored(answer)] * 5)
    (told,) = await rig.told(rig.send("a", "a1", "a2"))
    assert isinstance(told, Unavailable)
    assert wait_s(told) == 30
    assert rig.rejected == []
    assert rig.stands() is table.state
    rig.table = None
    rig.writer.record_check(await rig.appender.check())
    assert rig.writer.health.pause() is None
    assert await rig.told(rig.send("a", "a1", "a2")) == [Durable()]
    assert rig.stands() is SinkState.ACTIVE
    assert rig.stored == {"a1": 1, "a2": 1}
    assert rig.server.arrivals[-1].connection == 2


@pytest.mark.parametrize("end", [faults.DENIED, faults.UNAUTHENTICATED], ids=["denied", "unauthenticated"])
@pytest.mark.parametrize("at", ["opening", "append"])
async def test_a_missing_permission_is_named_and_heals_when_it_is_granted(rig: Rig, end: EndStream, at: str) -> None:
    """503 and PERMISSION_DENIED, asked again after 30 s; then rows flow."""
    if at == "opening":
        rig.server.refuse_streams = end
    else:
        rig.server.decide = in_turn(not_stored(end))
    (told,) = await rig.told(rig.send("a"))
    assert wait_s(told) == 30
    assert rig.stands() is SinkState.PERMISSION_DENIED
    rig.server.refuse_streams = None
    await rig.clock.advance(30)
    assert await rig.told(rig.send("a")) == [Durable()]
    assert rig.stored == {"a": 1}
    assert rig.stands() is SinkState.ACTIVE


async def test_a_known_obstacle_is_not_sent_rows(rig: Rig) -> None:
    """While the last look found the table wrong, nothing is appended: the rows wait at the sender."""
    rig.table = MISMATCH
    rig.writer.record_check(await rig.appender.check())
    assert rig.stands() is SinkState.SCHEMA_MISMATCH
    await rig.clock.advance(31)
    (told,) = await rig.told(rig.send("a"))
    assert isinstance(told, Unavailable)
    assert rig.server.arrivals == []


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
