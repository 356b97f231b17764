"""Bodies that are handed to the server in pieces."""

import asyncio
import logging
from typing import Any

import pytest

from app.http.bodies import PIECE_BYTES, in_pieces, recorded_reason

BODY = bytes(range(256)) * 200


async def staying() -> Any:
    """Receive nothing: the client stays."""
    return await asyncio.get_running_loop().create_future()


async def sent(body: bytes | memoryview, *, more: bool) -> list[Any]:
    """Return the events that become of one with this body."""
    events = list[Any]()

    async def send(event: Any) -> None:
        events.append(event)

    start: Any = {"type": "http.response.start", "status": 200, "headers": []}
    response: Any = {"type": "http.response.body", "body": body, "more_body": more}
    for event in (start, response):
        await in_pieces({}, staying, send)(event)
    assert events.pop(0) == start
    return events


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, len(BODY)])
@pytest.mark.parametrize("more", [False, True])
async def test_a_body_is_the_same_in_pieces(size: int, *, more: bool) -> None:
    """None is larger than a piece, and the last one ends the response where the body did."""
    for body in (BODY[:size], memoryview(BODY)[:size]):
        events = await sent(body, more=more)
        assert b"".join(event["body"] for event in events) == BODY[:size]
        assert all(type(event["body"]) is bytes and len(event["body"]) <= PIECE_BYTES for event in events)
        *others, last = [event["more_body"] for event in events]
        assert all(others)
        assert last is more


async def test_the_rest_is_dropped_when_the_client_leaves() -> None:
    """The server itself would take all of it, and say nothing; the reason is recorded for the log."""
    scope: Any = {}
    taken, leaves = list[bytes](), asyncio.Event()

    async def receive() -> Any:
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        taken.append(event["body"])
        leaves.set()
        for _ in range(3):
            await asyncio.sleep(0)

    event: Any = {"type": "http.response.body", "body": BODY, "more_body": False}
    await in_pieces(scope, receive, send)(event)
    assert len(taken) == 1
    assert recorded_reason(scope) == (logging.INFO, "the client left")
