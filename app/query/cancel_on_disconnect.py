"""Stop working for a client that has hung up.

The server says so through ASGI's `receive`: after the request's body, which is empty here, the next message is
`http.disconnect`, and it comes while the handler works (https://asgi.readthedocs.io/en/stable/specs/www.html).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from litestar import Request, Response

_CLIENT_CLOSED_REQUEST = 499  # nobody reads it; access logs know the number


async def unless_departed(
    request: Request[Any, Any, Any], work: Coroutine[Any, Any, Response[bytes]]
) -> Response[bytes]:
    """Return what `work` returns; cancel it, and return an answer for nobody, once the client has gone.

    Cancelled itself, it cancels `work`, too, and has waited for its end when it returns.
    """
    working = asyncio.create_task(work)
    departing = asyncio.create_task(_departure(request))
    try:
        await asyncio.wait([working, departing], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        departing.result()  # that one cannot listen is a defect, and no departure
        return Response(b"", status_code=_CLIENT_CLOSED_REQUEST)
    finally:
        for task in (working, departing):
            task.cancel()
        await asyncio.gather(working, departing, return_exceptions=True)


async def _departure(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
