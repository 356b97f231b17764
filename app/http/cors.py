"""Which web pages may call the service from a browser: Cross-Origin Resource Sharing.

`*` is safe where tokens are wanted: a token is put into a request by the page that has it, and never by the browser
on its own as a cookie is, so a page without a token is as well off as any stranger. Credentials in the sense of
browsers (cookies) are never allowed.
"""

from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

EXPOSED = (
    *("Link", "ETag", "Retry-After", "Server-Timing", "RateLimit", "RateLimit-Policy"),
    *("Sluice-Resume-Cursor", "Sluice-Next-Cursor", "Sluice-Count", "Sluice-Cache"),
    "Sluice-Bytes-Processed",
)
"""The headers of answers that a page may read; without this a browser keeps them to itself."""
_ACCEPTED = (
    *("Accept", "Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "Traceparent"),
)
_VARY = "Accept, Accept-Encoding, Authorization, Origin"


def cors_config(origins: tuple[str, ...]) -> CORSConfig | None:
    """Return Litestar's configuration; None without origins, which leaves browsers to their own rule."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "PUT"],
        allow_headers=list(_ACCEPTED),
        expose_headers=list(EXPOSED),
    )


async def keep_vary(message: Message, _: Scope) -> None:
    """Say all that answers vary by: Litestar's `before_send`.

    The framework's middleware puts `Origin` in the place of what the answer said, after which a browser might give
    what it has kept for one token, or in one format, to another; and it says nothing of `Origin` to a request without
    one, whose answer a page could then be given without the header that lets it read it. Naming too much only costs
    a hit.
    """
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["Vary"] = _VARY
