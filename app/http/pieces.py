"""Send large bodies in pieces, so that what a client does not read stays with whoever made it.

The server (Granian) copies what it is given, and keeps it until the client has read it. Of a body in pieces it takes
sixteen into its write buffer and four into a queue; the next one waits until the client reads. It does not say whether
anybody still reads, so that is watched while a large body is sent.
"""

import asyncio
import logging
from typing import Any

from litestar.types import Receive, Send

from app.http.cut_responses import CLIENT_LEFT, cut_short

PIECE_BYTES = 8_192


def in_pieces(scope: Any, receive: Receive, send: Send) -> Send:
    """Wrap the `send` of a request to hand over a body of any size in pieces; the rest is dropped if its client leaves.

    Of a body that comes in several parts, whoever makes them watches the client.
    """

    async def sent(event: Any) -> None:
        body = event.get("body", b"") if event["type"] == "http.response.body" else b""
        if len(body) <= PIECE_BYTES:
            whole: Any = event if type(body) is bytes else {**event, "body": bytes(body)}
            await send(whole)
            return
        more = event.get("more_body", False)
        leaving = None if more else asyncio.create_task(disconnected(receive))
        try:
            for begin in range(0, len(body), PIECE_BYTES):
                if leaving is not None and leaving.done():
                    cut_short(scope, CLIENT_LEFT, logging.INFO)
                    return
                is_last = begin + PIECE_BYTES >= len(body)
                piece = bytes(body[begin : begin + PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": more or not is_last})
        finally:
            if leaving is not None:
                leaving.cancel()

    return sent


async def disconnected(receive: Receive) -> None:
    """Wait until the client disconnects.

    The server says so through `receive`, after the body of the request, which is empty or no longer wanted here
    (https://asgi.readthedocs.io/en/stable/specs/www.html).
    """
    while (await receive())["type"] != "http.disconnect":
        pass
