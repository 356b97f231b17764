"""A header that every answer has: browsers take its content for what Content-Type says, whatever it looks like."""

from typing import Any

from litestar.types import Send

NOSNIFF = (b"x-content-type-options", b"nosniff")


def with_nosniff(send: Send) -> Send:
    """Return ASGI's `send` with the header added to the answer that it begins."""

    async def sent(event: Any) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), NOSNIFF]
        await send(event)

    return sent
