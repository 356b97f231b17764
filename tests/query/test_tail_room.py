"""What tails hold: counted, shared, and waited for where there is no room."""

from app.query.tail.poller import PATIENCE_S
from tests.query.tail_stage import POLL_S, Stage
from tests.query.test_tail import at

MIB = 1024**2


async def test_what_tails_hold_is_counted_and_given_back(stage: Stage) -> None:
    """Also for those that read nothing, and for those that read by themselves."""
    slow, quick, late = stage.listen(), stage.listen(), stage.listen(at(-3_600_000_000))
    slow.reads.clear()
    for number in range(5):
        stage.sheet.put(number * 10, text="x" * 1_000)
        await stage.turn(POLL_S)
    assert len(quick.keys) == 5
    assert len(late.keys) == 5
    assert stage.ledger.bytes > 0
    for listener in (slow, quick, late):
        await listener.hang_up()
    assert (stage.ledger.holdings, stage.ledger.bytes) == (0, 0)


async def test_a_tail_waits_for_room_and_then_goes_on() -> None:
    """Other answers of its caller hold all that there is: it gets every record, later."""
    stage = Stage(max_bytes=4 * MIB)
    other = stage.ledger.open("a")
    assert other is not None
    listener = stage.listen()
    await stage.turn(POLL_S)
    assert other.grow(3 * MIB)
    stage.sheet.put(5, text="x" * 1_000)
    await stage.turn(4 * POLL_S)
    assert listener.keys == []
    other.release()
    await stage.turn(4 * POLL_S)
    assert listener.keys == ["k0"]
    await listener.hang_up()
    assert (stage.ledger.holdings, stage.ledger.bytes) == (0, 0)


async def test_a_tail_that_finds_no_room_for_long_ends_with_a_problem() -> None:
    """It can connect again where it was: nothing was skipped."""
    stage = Stage(max_bytes=4 * MIB)
    other = stage.ledger.open("a")
    assert other is not None
    listener = stage.listen()
    await stage.turn(POLL_S)
    assert other.grow(3 * MIB)
    stage.sheet.put(5)
    for _ in range(round(PATIENCE_S) + 2):
        await stage.turn(1.0)
    assert listener.has_ended()
    assert [event.name for event in listener.events] == ["error"]
    assert listener.events[0].data["code"] == "busy"
    assert listener.place < at(5)
    other.release()
    assert (stage.ledger.holdings, stage.ledger.bytes) == (0, 0)
