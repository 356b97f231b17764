"""The nosniff header of every response: browsers trust Content-Type, whatever the content looks like."""

from typing import Any

from litestar.types import Send

NOSNIFF = (b"x-content-type-options", b"nosniff")


def with_nosniff(send: Send) -> Send:
    """Wrap ASGI's `send` to add the header to the start of the response."""

    async def sent(event: Any) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), NOSNIFF]
        await send(event)

    return sent
