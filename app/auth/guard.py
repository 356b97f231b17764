"""The guard of `/v1`: it identifies the caller, and checks its scopes and its rate limit."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app.auth.grants import LOCAL_PRINCIPAL, Granted, Principal, Scope, is_key, key_hash
from app.auth.grants_file import GrantsReloader
from app.auth.limits import ByteBudget, RateLimit
from app.auth.read_slots import ReadSlots
from app.auth.tokens import TokenVerifier, bearer_token
from app.http.contract import OF_ALL, OF_DEFAULT, STREAM
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock

_Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[_Connection, BaseRouteHandler], Awaitable[None]]
Identify = Callable[[_Connection], Awaitable[Principal]]
"""Returns the caller, or raises a ProblemError that says why the caller is not admitted."""


class Callers:
    """Identifies callers. Grants are checked on every request, so a removed grant also stops tokens that are valid.

    The principals of `verifier` must be these `grants`. Without grants, every request that addresses this machine by a
    loopback name is admitted; settings allow that on a loopback address only. `origins` are further origins whose pages
    may call.
    """

    def __init__(
        self, verifier: TokenVerifier, grants: GrantsReloader | None, clock: Clock, origins: Collection[str] = ()
    ) -> None:
        self._verifier, self._grants, self._clock, self._origins = verifier, grants, clock, origins

    async def identify(self, connection: _Connection) -> Principal:
        """Return who sent a request.

        Raises:
            ProblemError: missing_token, invalid_token, forbidden or unavailable.
        """
        if self._grants is None:
            return _local(connection, self._origins)
        headers = connection.scope["headers"]
        token = bearer_token(headers)
        if is_key(token):
            granted = self._grants.current.by_key.get(key_hash(token))
            if granted is None:
                raise ProblemError(
                    "invalid_token", "the API key is unknown: it is mistyped, was revoked, or never existed"
                )
            if self._is_over(granted):
                raise ProblemError("invalid_token", f"the API key of {_ended(granted)}")
            return granted.principal
        email = await self._verifier.principal(headers)
        granted = self._grants.current.by_email[email]  # just checked, and nothing has run since
        if self._is_over(granted):
            raise ProblemError("forbidden", f"the grant of {_ended(granted)}")
        return granted.principal

    def _is_over(self, granted: Granted) -> bool:
        return granted.expires_us is not None and self._clock.now_us() >= granted.expires_us


def _ended(granted: Granted) -> str:
    ended = datetime.fromtimestamp((granted.expires_us or 0) / MICROSECONDS, UTC)
    return f"{granted.principal.name} expired at {ended:%Y-%m-%dT%H:%M:%SZ}"


LIMITED: frozenset[Scope | None] = frozenset({"read", "rejects", None})
"""Scopes whose requests are counted, None for those that need none. Writes are not: admission (app/ingest) limits them.
"""
QUERYING: frozenset[Scope | None] = frozenset({"read", "rejects"})
"""Scopes whose requests query the store."""


def api_guard(
    identify: Identify, rate_limit: RateLimit, byte_budget: ByteBudget, slots: ReadSlots, default_stream: str
) -> Guard:
    """Return the guard; it leaves the caller's Principal in `state.principal`, and takes a slot for a read.

    A route names the scope it requires in `opt["scope"]`; a route without one accepts any principal. Its stream is the
    one in its path, or `default_stream`.
    """

    async def guard(connection: _Connection, handler: BaseRouteHandler) -> None:
        principal, state = await identify(connection), connection.scope["state"]
        connection.state.principal = principal
        needed: Scope | None = handler.opt.get("scope")
        if needed in LIMITED:
            await rate_limit.admit(principal, state)
        if needed in QUERYING:
            byte_budget.admit(principal)
        if needed is not None and needed not in principal.scopes:
            raise _insufficient(principal, needed)
        if principal.streams is not None:
            _check_stream(principal.streams, principal, connection, handler, default_stream)
        if needed in QUERYING:
            await slots.enter(principal.name, state)

    return guard


def document_guard(rate_limit: RateLimit, requests_per_minute: int) -> Guard:
    """Return the guard of documents that need no token: it counts requests by the address of the client."""

    async def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        address = (connection.scope.get("client") or ("unknown",))[0]
        await rate_limit.admit(Principal(address, frozenset(), requests_per_minute=requests_per_minute or None), {})

    return guard


def _check_stream(
    allowed: Collection[str],
    principal: Principal,
    connection: _Connection,
    handler: BaseRouteHandler,
    default_stream: str,
) -> None:
    """Refuse a caller that may use some streams only, where the request is about another, or about all."""
    stream: str | None = connection.scope["path_params"].get("stream")
    whose = handler.opt.get(STREAM)
    if stream is None and whose == OF_ALL:
        detail = f"{principal.name} may use some streams only, and this path serves all: name one, as in {_OF_ONE}"
        raise ProblemError("forbidden", detail)
    if stream is None and whose == OF_DEFAULT:
        stream = default_stream
    if stream is not None and stream not in allowed:
        known = ", ".join(sorted(allowed))
        raise ProblemError("forbidden", f"{principal.name} may not use the stream {stream[:100]!r}, but only {known}")


_OF_ONE = "/v1/streams/{stream}/rejects"


def _insufficient(principal: Principal, needed: Scope) -> ProblemError:
    scopes = sorted(principal.scopes)
    return ProblemError(
        "insufficient_scope",
        f"the request needs the scope {needed}; {principal.name} has {', '.join(scopes)}",
        members={"needed": needed, "scopes": scopes},
        # https://www.rfc-editor.org/rfc/rfc6750#section-3.1
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
    )


def _local(connection: _Connection, origins: Collection[str]) -> Principal:
    """Admit callers on this machine, but not foreign web pages that make the browser call.

    The Host check keeps out pages that point a name of their own at 127.0.0.1 (DNS rebinding). Browsers send Origin
    with every write, so the Origin check keeps out forms of foreign pages.
    """
    hosts, origin = connection.headers.getall("host", [""]), connection.headers.get("origin")
    if not all(map(_is_local, hosts)):
        detail = f"the Host is {', '.join(hosts)[:100]!r}: expected localhost, because SLUICE_API_PRINCIPALS is empty"
        raise ProblemError("forbidden", detail)
    if origin is not None and origin not in origins and not _is_local(origin.partition("://")[2]):
        detail = (
            f"the Origin {origin[:100]!r} is not allowed: while SLUICE_API_PRINCIPALS is empty, only pages of "
            "localhost and the origins in SLUICE_CORS_ORIGINS may call the API"
        )
        raise ProblemError("forbidden", detail)
    return LOCAL_PRINCIPAL


def _is_local(authority: str) -> bool:
    """Return whether `authority` (a name or address, with or without a port) is this machine's own."""
    name = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
    if name.lower() == "localhost":
        return True
    try:
        if name.startswith("[") and name.endswith("]"):
            return IPv6Address(name[1:-1]).is_loopback
        return IPv4Address(name).is_loopback
    except AddressValueError:
        return False
