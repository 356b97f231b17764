"""Headers of every response: `nosniff`, and CORS for the pages of other origins."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope, Send

NOSNIFF = (b"x-content-type-options", b"nosniff")
"""Browsers trust Content-Type, whatever the content looks like."""


def with_nosniff(send: Send) -> Send:
    """Wrap ASGI's `send` to add the header to the start of the response."""

    async def sent(event: Any) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), NOSNIFF]
        await send(event)

    return sent


EXPOSED = (
    *("Link", "ETag", "Retry-After", "Server-Timing", "RateLimit", "RateLimit-Policy"),
    *("Sluice-Resume-Cursor", "Sluice-Next-Cursor", "Sluice-Count", "Sluice-Cache"),
    *("Sluice-Bytes-Processed", "Sluice-Lag"),
)
"""The response headers that a page may read; browsers hide any others."""
_ACCEPTED = (
    *("Accept", "Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "Sluice-Reader", "Traceparent"),
)
_VARY = "Accept, Accept-Encoding, Authorization, Origin"


def cors_config(origins: tuple[str, ...]) -> CORSConfig | None:
    """Return Litestar's configuration; None without origins, so that the same-origin policy applies."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "PUT"],
        allow_headers=list(_ACCEPTED),
        expose_headers=list(EXPOSED),
    )


def add_lag(lag_s: Callable[[], float]) -> Callable[[Message, Scope], Awaitable[None]]:
    """Return what adds `Sluice-Lag` to every response of the API: how many seconds a mirror is behind its source."""

    async def add(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start" and scope["path"].startswith("/v1/"):
            MutableScopeHeaders.from_message(message)["Sluice-Lag"] = f"{lag_s():.1f}"

    return add


async def keep_vary(message: Message, _: Scope) -> None:
    """Set the complete Vary header on every response (Litestar's `before_send`).

    The framework's middleware replaces the response's Vary by `Origin`. A browser might then reuse a response cached
    for one token or format for another. For a request without an Origin the middleware does not name `Origin`, and a
    page could later be served that response without the CORS header it needs. Naming too much only costs a cache hit.
    """
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["Vary"] = _VARY
