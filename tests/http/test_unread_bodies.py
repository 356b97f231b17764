"""What a client still sends of a request that was answered early."""

import asyncio
from typing import Any

from app.http.unread_bodies import UnreadBodies
from sluice.testing.clock import FakeClock


class Sender:
    """A client that sends a body of `parts` parts of 10 bytes, and then stalls unless it `ends`."""

    def __init__(self, parts: int, *, ends: bool = True) -> None:
        self.left, self.ends, self.asked = parts, ends, 0

    async def receive(self) -> Any:
        """Return the next part."""
        self.asked += 1
        if not self.left and not self.ends:
            await asyncio.Event().wait()
        self.left -= 1
        return {"type": "http.request", "body": b"x" * 10, "more_body": self.left > 0 or not self.ends}


async def test_a_body_is_read_to_its_end() -> None:
    """Then its client reads the answer."""
    unread, sender = UnreadBodies(FakeClock(), 100), Sender(15)
    await unread.discard(sender.receive)
    assert sender.left == 0


async def test_a_body_without_end_is_left_after_twice_the_largest() -> None:
    """It costs whoever sends it more than us."""
    unread, sender = UnreadBodies(FakeClock(), 100), Sender(1_000)
    await unread.discard(sender.receive)
    assert sender.asked == 20


async def test_a_client_that_is_gone_or_stalls_is_not_waited_for() -> None:
    """Five seconds at most, and the task goes on as if nothing had been."""
    clock = FakeClock()
    unread, sender = UnreadBodies(clock, 100), Sender(1, ends=False)

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    await unread.discard(gone)
    waiting = asyncio.create_task(unread.discard(sender.receive))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.2)
    await waiting
    assert waiting.cancelling() == 0


async def test_only_so_many_are_read_at_once() -> None:
    """The others are closed on, as all were before."""
    clock = FakeClock()
    unread = UnreadBodies(clock, 100)
    waiting = [asyncio.create_task(unread.discard(Sender(0, ends=False).receive)) for _ in range(64)]
    await clock.advance(0)
    sender = Sender(5)
    await unread.discard(sender.receive)
    assert sender.asked == 0
    await clock.advance(5)
    await asyncio.gather(*waiting)
    await unread.discard(sender.receive)
    assert sender.left == 0


async def test_a_stop_waits_for_none_of_them() -> None:
    """What is being read is left, and nothing more is read."""
    clock = FakeClock()
    unread, sender = UnreadBodies(clock, 100), Sender(5)
    waiting = asyncio.create_task(unread.discard(Sender(0, ends=False).receive))
    await clock.advance(0)
    unread.close()
    await waiting
    await unread.discard(sender.receive)
    assert sender.asked == 0
