"""Cancel the work for a client that has disconnected.

The server signals this through ASGI's `receive`: after the request's body, which is empty here, the next message is
`http.disconnect`. It arrives while the handler works (https://asgi.readthedocs.io/en/stable/specs/www.html).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from litestar import Request, Response

_CLIENT_CLOSED_REQUEST = 499  # no client reads it; it is a known status in access logs


async def unless_departed(
    request: Request[Any, Any, Any], work: Coroutine[Any, Any, Response[bytes]]
) -> Response[bytes]:
    """Return the result of `work`; if the client disconnects, cancel `work` and return an empty response.

    If this call is cancelled, it cancels `work`, too, and waits until it has ended.
    """
    working = asyncio.create_task(work)
    departing = asyncio.create_task(_departure(request))
    try:
        await asyncio.wait([working, departing], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        departing.result()  # a failing `receive` is a defect, not a disconnect
        return Response(b"", status_code=_CLIENT_CLOSED_REQUEST)
    finally:
        for task in (working, departing):
            task.cancel()
        await asyncio.gather(working, departing, return_exceptions=True)


async def _departure(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
