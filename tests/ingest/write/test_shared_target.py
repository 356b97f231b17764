"""What the tables of several streams may have in flight together."""

from app.ingest.write.batching import SharedTarget
from app.runtime.clock import MICROSECONDS
from sluice.testing.clock import FakeClock
from tests.ingest.write.desk import ACK_S, Desk


async def test_tables_share_what_may_be_in_flight_and_none_waits_for_another() -> None:
    """Once they reach the target together, a table with a batch in flight waits 12 ms; one without goes at once."""
    clock, shared = FakeClock(), SharedTarget()
    hanging, busy, quiet = (Desk(clock=clock, shared=shared) for _ in range(3))
    for row in (b"a", b"b", b"c", b"d"):
        await hanging.added(row)
        await clock.advance(0.004)
    assert (len(hanging.sent), shared.in_flight) == (4, 4)
    await busy.added(b"e")
    await busy.added(b"f")
    await clock.advance(0.011)
    assert (busy.sent, busy.timers) == ([[b"e"]], 1)
    await quiet.added(b"g")
    assert quiet.sent == [[b"g"]]
    await clock.advance(0.001)
    assert (busy.sent, busy.timers) == ([[b"e"], [b"f"]], 0)
    for desk in (hanging, busy, quiet):
        await desk.dispatcher.close()
    assert shared.in_flight == 0


async def test_busy_tables_take_turns_and_one_that_hangs_is_not_busy() -> None:
    """Each lets 3 ms pass for every busy table, or more when idle. A quarter of a second later they no longer count."""
    clock, shared = FakeClock(), SharedTarget()
    desks = [Desk(clock=clock, shared=shared) for _ in range(5)]
    first, hanging = desks[0], Desk(clock=clock, shared=shared, acknowledged=False)
    await clock.advance(0.05)
    await hanging.added(b"h")
    assert (shared.busy, shared.in_flight) == (5, 1)
    await first.added(b"a")
    await first.added(b"b")
    await first.answer(0)
    assert first.sent == [[b"a"]], "five busy tables, of which four may have an append in flight"
    await clock.advance(ACK_S * 5 / 4)
    assert first.sent == [[b"a"], [b"b"]]
    await first.added(b"c")
    await clock.advance(0.014)
    assert first.sent == [[b"a"], [b"b"]]
    await clock.advance(0.001)
    assert first.sent == [[b"a"], [b"b"], [b"c"]], "a slow store makes no message wait longer"
    await clock.advance(0.3)
    hanging.dispatcher.acknowledged(round(ACK_S * MICROSECONDS))
    await first.answer(1)
    assert shared.busy == 1
    await first.added(b"d")
    assert first.sent[3:] == [[b"d"]], "no table shares with it now"
    for desk in (*desks, hanging):
        await desk.dispatcher.close()
