"""Responses that never change while the process lives: encoded once, and sent only to clients without a copy."""

from typing import Any

from litestar import Request, Response

from app.http.conditional import VARY, strong_etag
from app.http.reading import has_current, read_response
from app.query.params.collector import parse_nothing

# A release may change them: a client revalidates after five minutes, which costs no body.
_KEPT = "private, max-age=300"


class StaticResponse:
    """A JSON document and its entity tag."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._headers = {"ETag": strong_etag(body), "Cache-Control": _KEPT, "Vary": VARY}

    def to(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer a GET or a HEAD with the document, or with 304 if the caller has it.

        Raises:
            ProblemError: `invalid_parameter`: there are none.
        """
        parse_nothing(request.scope["query_string"].decode("latin-1"))
        if has_current(request, self._headers["ETag"]):
            return Response(b"", status_code=304, headers=self._headers)
        return read_response(request, self._body, "application/json", self._headers)
