"""Who may use `/v1`: principals with a Google-signed token, or whoever shares the loopback interface."""

from collections.abc import Awaitable, Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app.auth import TokenVerifier
from app.errors import ProblemError

LOCAL_PRINCIPAL = "local"
_Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[_Connection, BaseRouteHandler], Awaitable[None]]


def api_guard(verifier: TokenVerifier | None) -> Guard:
    """Return the guard of `/v1`; it leaves the caller's name in `state.principal`.

    Without a verifier everybody is let in who names this machine by a loopback name: settings allow that on a
    loopback address only. The name keeps out web pages that point a name of their own at 127.0.0.1, and the
    Origin, which browsers send with every write, keeps out the forms of pages from elsewhere.
    """

    async def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        if verifier is not None:
            connection.state.principal = await verifier.principal(connection.scope["headers"])
            return
        hosts, origin = connection.headers.getall("host", [""]), connection.headers.get("origin")
        if not all(map(_is_local, hosts)):
            detail = f"the Host is {', '.join(hosts)[:100]!r}: without SLUICE_API_PRINCIPALS only localhost is answered"
            raise ProblemError("forbidden", detail)
        if origin is not None and not _is_local(origin.partition("://")[2]):
            detail = (
                f"the Origin is {origin[:100]!r}: without SLUICE_API_PRINCIPALS only pages of localhost are answered"
            )
            raise ProblemError("forbidden", detail)
        connection.state.principal = LOCAL_PRINCIPAL

    return guard


def _is_local(authority: str) -> bool:
    """Whether `authority` (a name or address, with or without a port) is this machine's own."""
    name = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
    if name.lower() == "localhost":
        return True
    try:
        if name.startswith("[") and name.endswith("]"):
            return IPv6Address(name[1:-1]).is_loopback
        return IPv4Address(name).is_loopback
    except AddressValueError:
        return False
