"""Who may use `/v1`: principals with a Google-signed token, or whoever shares the loopback interface."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app.auth import TokenVerifier
from app.errors import ProblemError

LOCAL_PRINCIPAL = "local"
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[_Connection, BaseRouteHandler], Awaitable[None]]


def api_guard(verifier: TokenVerifier | None) -> Guard:
    """Return the guard of `/v1`; it leaves the caller's name in `state.principal`.

    Without a verifier everybody is let in who names this machine by a loopback name: settings allow that on a
    loopback address only, and the name keeps out web pages that point a name of their own at 127.0.0.1.
    """

    async def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        if verifier is not None:
            connection.state.principal = await verifier.principal(connection.scope["headers"])
            return
        host = connection.headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() not in _LOCAL_NAMES:
            detail = f"the Host is {host[:100]!r}: without SLUICE_API_PRINCIPALS only localhost is answered"
            raise ProblemError("forbidden", detail)
        connection.state.principal = LOCAL_PRINCIPAL

    return guard
