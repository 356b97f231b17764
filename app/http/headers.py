"""Headers of every request and response: one Host, `nosniff`, and CORS for the pages of other origins."""

from collections.abc import Iterable
from typing import Any

from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope, Send

from app.http.problems import ProblemError

Headers = Iterable[tuple[bytes, bytes]]


def check_host(headers: Headers, http_version: str = "1.1") -> None:
    """Check that a request names one host (https://www.rfc-editor.org/rfc/rfc9112#section-3.2).

    Proxies and servers on the path disagree about which of two Host headers counts, or what a missing one means. The
    server replaces a missing header by an empty one.

    Raises:
        ProblemError: `invalid_host`.
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1:
        raise ProblemError(
            "invalid_host",
            f"the request has {len(hosts)} Host headers: expected exactly one",
            members={"hosts": len(hosts)},
        )
    if not any(hosts) and http_version not in {"1.0", "1"}:
        raise ProblemError("invalid_host", "the request has no Host header: expected exactly one", members={"hosts": 0})


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
    "Sluice-Bytes-Processed",
)
"""The response headers that a page may read; browsers hide any others."""
_ACCEPTED = (
    *("Accept", "Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "Traceparent"),
)
_VARY = "Accept, Accept-Encoding, Authorization, Origin"


def cors_config(origins: tuple[str, ...]) -> CORSConfig | None:
    """Return Litestar's configuration; None without origins, so that the same-origin policy applies."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=list(_ACCEPTED),
        expose_headers=list(EXPOSED),
    )


async def keep_vary(message: Message, _: Scope) -> None:
    """Set the complete Vary header on every response (Litestar's `before_send`).

    The framework's middleware replaces the response's Vary by `Origin`. A browser might then reuse a response cached
    for one token or format for another. For a request without an Origin the middleware does not name `Origin`, and a
    page could later be served that response without the CORS header it needs. Naming too much only costs a cache hit.
    """
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["Vary"] = _VARY
