"""The error matrix: quotas, missing tables, missing permissions, tables that changed."""

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.stores.sink import SetupError, SinkState
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import (
    Acknowledge,
    Answer,
    EndStream,
    Fault,
    Refuse,
    by_connection,
    in_turn,
    not_stored,
)
from tests.stores.bigquery.rig import Rig

MISSING = SetupError(SinkState.NOT_FOUND, "there is no table p.d.records")
MISMATCH = SetupError(SinkState.SCHEMA_MISMATCH, "column x is missing")


def wait_s(told: object) -> float:
    """Return after how long the sender is asked to come back."""
    assert isinstance(told, Throttled | Unavailable)
    return told.retry_after_s


@pytest.mark.parametrize(
    ("answer", "streams"), [(faults.QUOTA, 1), (faults.QUOTA_ENDS_STREAM, 2)], ids=["in an answer", "at the end"]
)
async def test_an_empty_quota_throttles_the_senders_and_lasts(rig: Rig, answer: Answer, streams: int) -> None:
    """429 for all that waits; nothing is asked for 10 s; an answer leaves the connection as it was."""
    rig.server.decide = in_turn(not_stored(answer))
    first = rig.send("a")
    (told,) = await rig.told(first)
    assert isinstance(told, Throttled)
    assert wait_s(told) == 10
    assert rig.stands() is SinkState.QUOTA_EXHAUSTED
    await rig.clock.advance(6)
    (told,) = await rig.told(rig.send("b"))
    assert isinstance(told, Throttled)
    assert wait_s(told) == pytest.approx(4, abs=0.01)
    assert len(rig.server.arrivals) == 1
    await rig.clock.advance(4)
    assert await rig.told(rig.send("a"), rig.send("b")) == [Durable(), Durable()]
    assert rig.stored == {"a": 1, "b": 1}
    assert len(rig.server.streams) == streams
    assert rig.stands() is SinkState.ACTIVE


async def test_a_quota_that_stays_empty_is_asked_ever_more_rarely(rig: Rig) -> None:
    """10 s, 20 s, 40 s … 300 s: every refused append costs the quota's refill."""
    rig.server.decide = lambda _: not_stored(faults.QUOTA)
    pauses = []
    for _ in range(7):
        (told,) = await rig.told(rig.send("a"))
        pauses.append(wait_s(told))
        await rig.clock.advance(pauses[-1])
    assert pauses == [10, 20, 40, 80, 160, 300, 300]


async def test_what_was_in_flight_beside_a_refused_append_is_still_answered(rig: Rig) -> None:
    """The quota stopped one request; the one behind it was stored, and its sender is told so."""
    rig.server.decide = in_turn(Fault(stores=False, answer_gate="go", answer=faults.QUOTA))
    first, second = await rig.sent("a"), await rig.sent("b")
    rig.server.gate("go").set()
    told = await rig.told(first, second)
    assert isinstance(told[0], Throttled)
    assert told[1] == Durable()
    assert rig.stored == {"b": 1}
    assert rig.stands() is SinkState.QUOTA_EXHAUSTED


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


async def test_a_table_that_only_the_look_finds_is_tried_within_the_budget(rig: Rig) -> None:
    """Rows are refused on every connection though the table is there: told 503 in time, UNREACHABLE, tried again."""
    rig.server.decide = lambda _: not_stored(faults.NOT_FOUND_ENDS_STREAM)
    (told,) = await rig.told_later(rig.send("a"), step_s=0.1)
    assert isinstance(told, Unavailable)
    assert rig.stands() is SinkState.UNREACHABLE
    assert 5 < len(rig.server.streams) < 20


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


async def test_an_added_column_is_noticed_and_disturbs_nobody(rig: Rig) -> None:
    """An acknowledgement that tells of a change makes the service look; the table fits still."""
    rig.server.decide = in_turn(Fault(answer=Acknowledge(updated_schema=True)))
    assert await rig.told(rig.send("a")) == [Durable()]
    assert rig.looks == 1
    assert await rig.told(rig.send("b")) == [Durable()]
    assert rig.stands() is SinkState.ACTIVE
    assert rig.stored == {"a": 1, "b": 1}


async def test_a_change_that_no_longer_fits_is_found_before_the_next_append(rig: Rig) -> None:
    """What was acknowledged stays so; what comes next is told 503."""
    rig.server.decide = in_turn(Fault(answer=Acknowledge(updated_schema=True)))
    rig.table = MISMATCH
    first = await rig.told(rig.send("a"))
    assert first == [Durable()]
    (told,) = await rig.told(rig.send("b"))
    assert isinstance(told, Unavailable)
    assert rig.stands() is SinkState.SCHEMA_MISMATCH
    assert rig.stored == {"a": 1}


async def test_a_setup_error_beside_appends_in_flight_is_told_to_those_it_concerns(rig: Rig) -> None:
    """The stream ends over a missing table with three in flight: each comes back, none is told durable."""
    rig.table = MISSING
    rig.server.decide = in_turn(Fault(stores=False, answer_gate="end", answer=faults.NOT_FOUND_ENDS_STREAM))
    messages = [await rig.sent(name) for name in "abc"]
    rig.server.gate("end").set()
    told = await rig.told(*messages)
    assert [type(each) for each in told] == [Unavailable] * 3
    assert rig.stands() is SinkState.NOT_FOUND


async def test_an_unknown_error_is_tried_again(rig: Rig) -> None:
    """A code that nobody thought of may pass: UNKNOWN, FAILED_PRECONDITION and the like count as uncertain."""
    odd = [Refuse(code, "odd") for code in ("UNKNOWN", "FAILED_PRECONDITION", "OUT_OF_RANGE", "ALREADY_EXISTS")]
    rig.server.decide = in_turn(*map(not_stored, odd))
    assert await rig.told_later(rig.send("a")) == [Durable()]
    assert rig.stored == {"a": 1}
