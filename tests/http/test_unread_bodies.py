"""What a client still sends of a request that was answered early."""

import asyncio
from typing import Any

from app.http.bodies import UnreadBodies


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


async def test_a_body_without_end_is_left_after_so_many_bytes() -> None:
    """It costs its sender more than the service."""
    sender = Sender(1_000)
    await UnreadBodies(200).discard(sender.receive)
    assert sender.asked == 20


async def test_a_stop_waits_for_none_of_them() -> None:
    """What is being read is left, and nothing more is read."""
    unread, stalled = UnreadBodies(200, longest_s=3_600), Sender(0, ends=False)
    reading = asyncio.create_task(unread.discard(stalled.receive))
    await asyncio.sleep(0)
    assert stalled.asked == 1
    unread.close()
    await reading
    assert reading.cancelling() == 0
