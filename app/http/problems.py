"""Every problem the service can respond with, as data, and the RFC 9457 documents built from it.

ProblemError            raised by handlers and parsers; carries a `code` of the catalogue
HTTPException           Litestar's own (404, 405, 413, ...), rendered in the same format
anything else           500 `internal`; logged with its traceback, which no caller ever sees
"""

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("sluice.errors")
_SHOWN_LENGTH = 100  # of a caller's own text


class ProblemKind(NamedTuple):
    """An entry of the catalogue: the HTTP status, a fixed title, and advice to the caller."""

    status: int
    title: str
    advice: str


CATALOGUE: dict[str, ProblemKind] = {
    "invalid_parameter": ProblemKind(
        400, "A parameter or header is not valid", "`errors` names each parameter and gives an example."
    ),
    "invalid_cursor": ProblemKind(
        400,
        "The cursor cannot be used",
        "Start again without `cursor`, or repeat the query that returned the cursor.",
    ),
    "invalid_envelope": ProblemKind(
        400,
        "The body is not a Pub/Sub push message",
        "Pub/Sub push subscriptions send the correct format without further configuration.",
    ),
    "missing_token": ProblemKind(
        401,
        "A bearer token is required",
        "Send one `Authorization: Bearer …` header with a Google-signed OIDC token or an API key.",
    ),
    "invalid_token": ProblemKind(
        401,
        "The token is not valid",
        "Get a new token for the service's audience, or ask the operator for a new API key.",
    ),
    "forbidden": ProblemKind(
        403,
        "The principal is not allowed to do this",
        "The token is valid, but its e-mail is not allowed to do this; ask the operator to add it.",
    ),
    "insufficient_scope": ProblemKind(
        403,
        "The caller lacks the required scope",
        "`needed` is the scope that the request requires and `scopes` lists the caller's; the operator can add one.",
    ),
    "not_found": ProblemKind(404, "The resource does not exist", "Check the path and the id."),
    "method_not_allowed": ProblemKind(
        405, "The method is not allowed for this path", "Use a method that the `Allow` header lists."
    ),
    "slow_body": ProblemKind(408, "The body arrived too slowly", "Send the request again, faster or in smaller parts."),
    "incomplete_body": ProblemKind(400, "The body ended early", "Send the whole request again."),
    "id_mismatch": ProblemKind(
        422,
        "The body is not one record with the id in the path",
        "PUT accepts one record, whose id is the one in the path.",
    ),
    "too_large": ProblemKind(413, "The body is too large", "Send fewer or smaller records in one request."),
    "rejected": ProblemKind(
        422, "No record of the request could be stored", "`errors` gives the errors of each record."
    ),
    "idempotency_conflict": ProblemKind(
        422, "The Idempotency-Key was already used with another body", "Use a new key for each new request."
    ),
    "rate_limited": ProblemKind(
        429,
        "The request rate limit is exceeded",
        "Try again after `Retry-After` seconds; `RateLimit` gives the remaining requests.",
    ),
    "byte_budget_used_up": ProblemKind(
        429,
        "The budget of billed bytes is used up",
        "Try again after `Retry-After` seconds. Until then, read less: shorter windows, `fields` with few columns, one "
        "export of a past hour instead of its pages. The operator can raise the budget.",
    ),
    "busy": ProblemKind(429, "Too many requests are in flight", "Try again after `Retry-After` seconds."),
    "unavailable": ProblemKind(
        503,
        "The store is not accepting records",
        "Send the request again with the same Idempotency-Key; no record is stored twice.",
    ),
    "query_too_expensive": ProblemKind(
        422,
        "The query would read too much",
        "Query a shorter or more recent window; the operator can raise the limit.",
    ),
    "query_timeout": ProblemKind(504, "The query timed out", "Try again, with a shorter window or a smaller `limit`."),
    "store_busy": ProblemKind(503, "The store is not accepting more queries", "Try again after `Retry-After` seconds."),
    "store_unavailable": ProblemKind(
        503,
        "The store cannot be queried",
        "Try again after `Retry-After` seconds; the operator finds the cause in the log.",
    ),
    "draining": ProblemKind(
        503, "This instance is shutting down", "Try again immediately; another instance will answer."
    ),
    "internal": ProblemKind(
        500, "The service failed", "Try again; if the error persists, report the time and the path to the operator."
    ),
}


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one parameter or field: its `name`, a `message`, and an `example` of what is right."""

    name: str
    message: str
    example: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()


class ProblemError(Exception):
    """A request cannot be served; `code` is a key of CATALOGUE.

    `members` are further members of the document, including every number in the text; `headers` are sent with the
    response.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.errors = code, detail, errors
        self.members, self.headers = dict(members or {}), dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return CATALOGUE[self.code].status

    def response_headers(self) -> dict[str, str]:
        """Return the headers of the response, except its content type."""
        return {"WWW-Authenticate": 'Bearer realm="sluice"', **self.headers} if self.status == 401 else self.headers

    def body(self) -> bytes:
        """Return the JSON of the problem document."""
        problem = Problem(
            type=f"/v1/problems#{self.code}",
            title=CATALOGUE[self.code].title,
            status=self.status,
            code=self.code,
            detail=self.detail,
            errors=self.errors,
        )
        return msgspec.json.encode({**msgspec.to_builtins(problem), **self.members})


def encoded(problem: ProblemError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return the status, headers and body of the response with `problem`, as ASGI expects them."""
    body = problem.body()
    headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **problem.response_headers()}
    return problem.status, [(name.lower().encode(), value.encode()) for name, value in headers.items()], body


def _response(error: ProblemError) -> Response[bytes]:
    headers = error.response_headers()
    return Response(error.body(), status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


_CODES = {
    401: "missing_token",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code >= 500:  # Litestar puts the text of the internal error into the detail
        return _on_exception(request, error)
    code = _CODES.get(error.status_code, "invalid_parameter")
    detail = _unknown_path(request) if isinstance(error, NotFoundException) else error.detail
    return _response(ProblemError(code, detail or CATALOGUE[code].advice, headers=error.headers))


def _unknown_path(request: Request[Any, Any, Any]) -> str:
    path, paths = request.scope["path"][:_SHOWN_LENGTH], [route.path_format for route in request.app.routes]
    near = get_close_matches(path, [each for each in paths if not each.endswith(("{rest}", "{name}"))], n=3)
    return f"there is no path {path!r}; {'near it: ' + ', '.join(near) if near else '/docs describes those there are'}"


def _on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    # The route rather than the path, which may contain a record's id.
    _log.error("unexpected failure at %s", request.scope.get("path_template") or "an unknown path", exc_info=error)
    return _response(ProblemError("internal", CATALOGUE["internal"].advice))


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    ProblemError: lambda _, error: _response(error),
    HTTPException: _on_http_exception,
    Exception: _on_exception,
}
