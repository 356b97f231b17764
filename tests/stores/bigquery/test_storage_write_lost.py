"""The error matrix: acknowledgements that are late or lost, and connections that end or die."""

import pytest

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import SinkState
from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import Answer, Cut, EndStream, Fault, Freeze, Silence, by_connection, in_turn
from sluice.testing.misbehaving.waiting import advance_until, until
from tests.stores.bigquery.rig import APPEND_DEADLINE_S, BUDGET_S, Rig

INTERNAL = EndStream("INTERNAL", "Internal error encountered.")
ENDINGS = [faults.DRAINING, faults.RESTARTED, faults.OVERLOADED, INTERNAL, EndStream("OK"), Cut()]
NAMES = ["draining", "restarted", "overloaded", "internal", "plain end", "reset"]


@pytest.mark.parametrize("end", ENDINGS, ids=NAMES)
async def test_a_lost_acknowledgement_makes_a_second_copy(rig: Rig, end: Answer) -> None:
    """Stored, and the stream ends instead of an answer: the rows are sent again, stamped anew."""
    rig.server.decide = in_turn(Fault(answer=end))
    message = await rig.sent("a", "a1", "a2")
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a1": 2, "a2": 2}
    early, late = [row["ingest_time"] for row in rig.server.shelf.rows() if row["id"] == "a1"]
    assert late > early
    assert [arrival.connection for arrival in rig.server.arrivals] == [1, 2]
    assert rig.stands() is SinkState.ACTIVE


@pytest.mark.parametrize(
    ("answer", "streams"), [*((end, 2) for end in ENDINGS), (faults.INTERNAL, 1)], ids=[*NAMES, "internal in an answer"]
)
async def test_an_append_that_was_not_stored_is_sent_again(rig: Rig, answer: Answer, streams: int) -> None:
    """There is one copy, and an error in an answer, unlike an end, keeps the connection."""
    rig.server.decide = in_turn(faults.not_stored(answer))
    message = await rig.sent("a")
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a": 1}
    assert len(rig.server.streams) == streams


async def test_a_stream_that_ends_with_several_in_flight_costs_none_of_them(rig: Rig) -> None:
    """Whether stored or not, all of them are sent again, and each is told of its own."""
    first = [Fault(answer_gate="end", answer=faults.DRAINING), Fault(), Fault(stores=False), Fault()]
    rig.server.decide = by_connection(first)
    messages = [await rig.sent(name) for name in "abcd"]
    await until(lambda: rig.stored == {"a": 1, "b": 1, "d": 1})
    rig.server.gate("end").set()
    assert await rig.told_later(*messages) == [Durable()] * 4
    assert rig.stored == {"a": 2, "b": 2, "c": 1, "d": 2}
    assert len(rig.server.streams) == 2


@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.parametrize("answer", [Silence(), Freeze()], ids=["silent", "half-open"])
async def test_an_append_without_an_answer_is_sent_again_elsewhere(rig: Rig, answer: Answer, stores: bool) -> None:  # noqa: FBT001 - a parameter
    """After the append deadline, on a fresh connection; the old one takes nothing more."""
    rig.server.decide = by_connection([Fault(stores=stores, answer=answer)])
    message = await rig.sent("a")
    await rig.clock.advance(APPEND_DEADLINE_S - 0.1)
    assert len(rig.server.arrivals) == 1
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a": 2 if stores else 1}
    assert [arrival.connection for arrival in rig.server.arrivals] == [1, 2]
    assert await rig.told(await rig.sent("b")) == [Durable()]
    assert rig.server.arrivals[-1].connection == 2


async def test_a_connection_that_thaws_late_answers_nobody(rig: Rig) -> None:
    """The acknowledgement of the first attempt comes after the second attempt: it is nobody's."""
    rig.server.decide = by_connection([Fault(answer_gate="first")], [Fault(answer_gate="second")])
    message = await rig.sent("a")
    link = rig.server.wire.open_links[0]
    link.freeze()
    rig.server.gate("first").set()
    await rig.clock.advance(APPEND_DEADLINE_S)
    await rig.arrived_later(2)
    link.thaw()
    other = await rig.sent("b")
    assert not message.is_told
    assert not other.is_told
    rig.server.gate("second").set()
    assert await rig.told(message, other) == [Durable(), Durable()]
    assert rig.stored == {"a": 2, "b": 1}


async def test_a_store_that_never_answers_is_unreachable_and_the_message_comes_back(rig: Rig) -> None:
    """The sender is told within its budget; a redelivery after the recovery is stored."""
    rig.server.decide = lambda _: Fault(stores=False, answer=Silence())
    message = await rig.sent("a")
    began_us = rig.clock.elapsed_us()
    (told,) = await rig.told_later(message, step_s=0.2)
    assert isinstance(told, Unavailable)
    assert (rig.clock.elapsed_us() - began_us) / 1e6 == pytest.approx(BUDGET_S, abs=0.3)
    assert rig.stands() is SinkState.UNREACHABLE
    rig.server.decide = lambda _: Fault()
    await advance_until(rig.clock, lambda: not rig.writer.waiting, step_s=0.2)
    assert await rig.told_later(rig.send("a"), step_s=0.2) == [Durable()]
    assert rig.stands() is SinkState.ACTIVE


async def test_refused_connections_shorter_than_the_budget_cost_only_time(rig: Rig) -> None:
    """The writer tries again with growing pauses, and the message is told when it is durable."""
    rig.server.wire.down()
    message = rig.send("a")
    await advance_until(rig.clock, lambda: rig.stands() is SinkState.UNREACHABLE)
    await rig.server.wire.up()
    assert await rig.told_later(message) == [Durable()]
    assert rig.stored == {"a": 1}
    assert rig.stands() is SinkState.ACTIVE
