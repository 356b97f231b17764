"""What the headers of a request say of its form. Pure."""

from collections.abc import Iterable

from app.errors import ProblemError

Headers = Iterable[tuple[bytes, bytes]]


def has_body(headers: Headers) -> bool:
    """Return whether a request announces a body (https://www.rfc-editor.org/rfc/rfc9112#section-6.3)."""
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


def check_host(headers: Headers, http_version: str = "1.1") -> None:
    """Check that a request names one host (https://www.rfc-editor.org/rfc/rfc9112#section-3.2).

    Two of them mean different things to different servers on the way, and so does none.

    Raises:
        ProblemError: `invalid_host`.
    """
    count = sum(name == b"host" for name, _ in headers)
    if count > 1:
        raise ProblemError("invalid_host", f"the request has {count} Host headers", members={"hosts": count})
    if not count and http_version not in {"1.0", "1"}:
        raise ProblemError("invalid_host", "the request has no Host header", members={"hosts": 0})
