"""What all read routes share: HEAD as GET without the body; entity tags, and how long a response may be reused.

Rules: RFC 9110 (entity tags §8.8.3, If-None-Match §13.1.2, 304 §15.4.5), RFC 9111 (Cache-Control, Vary), RFC 8246.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response
from litestar.datastructures.headers import Accept
from litestar.enums import HttpMethod

METHODS = (HttpMethod.GET, HttpMethod.HEAD)


def read_response(
    request: Request[Any, Any, Any],
    body: bytes,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> Response[bytes]:
    """Return the response to a GET, or to the corresponding HEAD."""
    content = b"" if request.method == HttpMethod.HEAD else body
    stated = {**(headers or {}), "Content-Type": media_type, "Content-Length": str(len(body))}
    return Response(content, status_code=status, media_type=media_type, headers=stated)


def preferred(accept: str, media_types: Sequence[str]) -> str:
    """Return the one of `media_types` that the header Accept prefers; the first one if it prefers none."""
    try:
        return Accept(accept).best_match([*media_types], media_types[0])
    except OverflowError:  # of a quality such as `inf`
        return media_types[0]


def has_current(request: Request[Any, Any, Any], etag: str) -> bool:
    """Return whether the caller already has the content with this entity tag, so that the response is 304."""
    return is_match(", ".join(request.headers.getall("if-none-match", [])), etag)


# A window closed before the horizon always has the same response. `private`: records are for the caller alone. Shared
# caches store no response to a request with Authorization (RFC 9111 §3.5), but that does not help if the service is
# open on loopback, or a key travels in another field. A day, not a year: rows leave the table with its retention, and a
# release may fix how they are written. `immutable`: reloading the page sends no request either.
CLOSED_WINDOW = "private, max-age=86400, immutable"
# The response of an open window changes from moment to moment. `no-cache` lets a client store it and revalidate it
# (RFC 9111 §5.2.2.4), which costs no body if it is unchanged. `max-age` would let a cache answer a poll with an old
# page without contacting the service. The service's own cache merges equal polls of many clients.
OPEN_WINDOW = "private, no-cache"
# What a cache must compare before it reuses a response (RFC 9111 §4.1). Accept selects the format unless `format` does.
# Authorization identifies the caller: a browser's private cache serves every credential used in it, and a principal's
# fixed filters decide which records exist for it.
VARY = "Accept, Authorization"

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')  # the opaque part, which may contain commas


def strong_etag(*parts: str | bytes) -> str:
    """Return the strong entity tag, with quotes, of `parts`: equal parts in the same order give equal tags.

    A strong tag promises the same bytes (RFC 9110 §8.8.1), so everything that shapes them must be a part: the format,
    the columns, the version of the service, and the content coding if any. The division into parts, and whether a part
    is str or bytes, both affect the tag.
    """
    digest = hashlib.sha256()
    for part in parts:
        kind, raw = (b"s", part.encode("utf-8", "surrogatepass")) if isinstance(part, str) else (b"b", part)
        digest.update(b"%b%d:%b" % (kind, len(raw), raw))
    return '"' + urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() + '"'


def weak_etag(*parts: str | bytes) -> str:
    """Return the weak entity tag of `parts`: it promises the same meaning, not the same bytes."""
    return f"W/{strong_etag(*parts)}"


def is_match(if_none_match: str, etag: str) -> bool:
    """Return whether an If-None-Match field matches `etag`, so that the response to a GET or a HEAD is 304.

    The comparison is weak (RFC 9110 §13.1.2), because proxies that compress turn strong tags into weak ones. `*`
    matches every tag. Several fields count as one, joined by commas. A field that is not a list of tags matches none:
    sending the full response is never wrong.
    """
    field = if_none_match.strip(" \t")
    if field == "*":
        return True
    if _TAG.sub("", field).strip(", \t"):
        return False
    return etag.removeprefix("W/")[1:-1] in _TAG.findall(field)


def keeping_headers(etag: str | None) -> dict[str, str]:
    """Return the caching headers of a response; a 304 carries the same ones (RFC 9110 §15.4.5).

    `etag` is None unless the window ended before the horizon.
    """
    if etag is None:
        return {"Cache-Control": OPEN_WINDOW, "Vary": VARY}
    return {"ETag": etag, "Cache-Control": CLOSED_WINDOW, "Vary": VARY}
