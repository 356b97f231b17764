"""What lets a client keep an answer: entity tags, and for how long an answer may be reused.

Rules: RFC 9110 (entity tags §8.8.3, If-None-Match §13.1.2, 304 §15.4.5), RFC 9111 (Cache-Control, Vary) and
RFC 8246 (`immutable`).
"""

import hashlib
import re
from base64 import urlsafe_b64encode

# A window closed before the horizon has one answer for ever. `private`: records are for the caller alone; that a
# shared cache keeps no answer to a request with Authorization (RFC 9111 §3.5) does not help where the service is open
# on loopback, or a key travels in another field. A day and not a year: rows leave the table with its retention, and a
# release may repair how they are written. `immutable`: a reload of the page asks for nothing either.
CLOSED_WINDOW = "private, max-age=86400, immutable"
# An open window has another answer a moment later. `no-cache` lets a client keep the answer and ask whether it still
# holds (RFC 9111 §5.2.2.4), which costs no body where it does; `max-age` would let a poll be answered with an old
# page without the service being asked. Equal polls of many clients are brought together by the service's own cache.
OPEN_WINDOW = "private, no-cache"
# What a cache must compare before it reuses an answer (RFC 9111 §4.1). Accept chooses the format where `format` does
# not. Authorization says who asks: one browser's private cache serves every credential that is used in it, and
# a principal's fixed filters decide which records exist for it.
VARY = "Accept, Authorization"

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')  # the opaque part; commas may stand in it


def strong_etag(*parts: str | bytes) -> str:
    """Return the strong entity tag, in its quotes, of what `parts` determine: equal parts in equal order, equal tag.

    A strong tag promises the same bytes (RFC 9110 §8.8.1), so whatever shapes them is a part: the format, the columns,
    the version of the service that writes them, and a content coding if there is one. Neither how text is divided into
    parts nor whether it is str or bytes goes unnoticed.
    """
    digest = hashlib.sha256()
    for part in parts:
        kind, raw = (b"s", part.encode("utf-8", "surrogatepass")) if isinstance(part, str) else (b"b", part)
        digest.update(b"%b%d:%b" % (kind, len(raw), raw))
    return '"' + urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() + '"'


def weak_etag(*parts: str | bytes) -> str:
    """Return the weak entity tag of what `parts` determine: the same in meaning, where not in every byte."""
    return f"W/{strong_etag(*parts)}"


def is_match(if_none_match: str, etag: str) -> bool:
    """Return whether an If-None-Match field names `etag`, so that 304 is the answer to a GET or a HEAD.

    The comparison is weak (RFC 9110 §13.1.2): proxies that compress turn a strong tag into a weak one. `*` names every
    tag. Several fields count as one, joined by commas. A field that is no list of tags names none: the whole answer is
    never wrong.
    """
    field = if_none_match.strip(" \t")
    if field == "*":
        return True
    if _TAG.sub("", field).strip(", \t"):
        return False
    return etag.removeprefix("W/")[1:-1] in _TAG.findall(field)


def keeping_headers(etag: str | None, *, closed: bool) -> dict[str, str]:
    """Return the headers that say how an answer may be kept; a 304 carries the same ones (RFC 9110 §15.4.5).

    `closed`: whether the window ended before the horizon. `etag` is None where the answer has no tag.
    """
    headers = {"Cache-Control": CLOSED_WINDOW if closed else OPEN_WINDOW, "Vary": VARY}
    return headers if etag is None else {"ETag": etag, **headers}
