"""What the tables of several streams may have in flight together."""

from app.ingest.dispatcher import SharedTarget
from testing.clock import FakeClock
from tests.ingest.desk import Desk


async def test_tables_share_what_may_be_in_flight_and_none_waits_for_another() -> None:
    """Once they reach the target together, a table with a batch in flight waits for its end; one without goes."""
    clock, shared = FakeClock(), SharedTarget()
    hanging, busy, quiet = (Desk(clock=clock, shared=shared) for _ in range(3))
    for row in (b"a", b"b", b"c", b"d"):
        await hanging.added(row)
        await clock.advance(0.004)
    assert (len(hanging.sent), shared.in_flight) == (4, 4)
    await busy.added(b"e")
    await busy.added(b"f")
    await clock.advance(1)
    assert (busy.sent, busy.timers) == ([[b"e"]], 0)
    await quiet.added(b"g")
    assert quiet.sent == [[b"g"]]
    await busy.answer(0)
    assert busy.sent == [[b"e"], [b"f"]]
    for desk in (hanging, busy, quiet):
        await desk.dispatcher.close()
    assert shared.in_flight == 0


async def test_a_full_batch_waits_for_no_other_table() -> None:
    """It is as cheap as can be."""
    clock, shared = FakeClock(), SharedTarget()
    hanging, full = (Desk(clock=clock, shared=shared, acknowledged=False) for _ in range(2))
    for row in (b"a", b"b", b"c", b"d"):
        await hanging.added(row)
    await full.added(b"e")
    await full.added(b"f", b"g", b"h")
    assert full.sent == [[b"e"], [b"f", b"g", b"h"]]
    for desk in (hanging, full):
        await desk.dispatcher.close()
