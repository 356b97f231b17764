"""The headers that frame a request, and the one that every response has. Pure."""

from collections.abc import Iterable
from typing import Any

from litestar.types import Send

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
