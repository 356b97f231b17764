"""The problems of each operation, with an example of each problem."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from app.http.contract import Contract
from app.http.problems import CATALOGUE, MEDIA_TYPE, FieldError, ProblemError

# The sources of a code: an operation's id (GET's, for HEAD), a tag, `/v1` for all routes behind the access guard, or
# `?name` for operations with this parameter. A code that is not listed may come from any operation that documents its
# status.
_SOURCES: dict[str, frozenset[str]] = {
    code: frozenset(sources.split())
    for code, sources in {
        "invalid_parameter": "/v1 operations",
        "invalid_cursor": "?cursor",
        "invalid_envelope": "push",
        "insufficient_scope": "/v1",
        "rate_limited": "/v1",
        "byte_budget_used_up": "/v1",
        "incomplete_body": "ingest",
        "id_mismatch": "putRecord",
        "rejected": "createRecords putRecord",
        "idempotency_conflict": "createRecords putRecord",
        "busy": "ingest listRecords listRejects readStats tailRecords",
        "unavailable": "ingest query erase",
        "query_too_expensive": "?since erase",
        "look_up_too_expensive": "getRecord",
        "store_busy": "query erase",
        "store_unavailable": "query erase",
    }.items()
}
# Responses that every operation may give, whether or not its route declares them.
_EVERYWHERE = {500: "The service failed; its log has the cause."}
_GUARDED = {
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
    429: "The rate limit is exceeded; `Retry-After` says when to try again.",
}
_RETRIED = {429, 503}
_DETAILS: dict[str, str] = {
    "invalid_parameter": "limt: there is no such parameter; did you mean limit? The parameters are …",
    "invalid_cursor": "the cursor belongs to another endpoint",
    "invalid_envelope": "the body has no `message`",
    "not_found": "there is no record with the id 'order-1042'",
    "too_large": "the body is larger than 14680064 bytes",
    "query_timeout": "the query timed out after 30 seconds",
    "query_too_expensive": "the query would read 53687091200 bytes; the limit is 10737418240",
    "rejected": "every record of the request was rejected; read /v1/rejects for the reasons",
}
_ERRORS: dict[str, tuple[FieldError, ...]] = {
    "invalid_parameter": (
        FieldError(name="limt", message="there is no such parameter; did you mean limit? The parameters are …"),
    ),
    "rejected": (FieldError(name="[0].source", message="Expected `str`, got `int` - at `$.source`"),),
}
_MEMBERS: dict[str, dict[str, Any]] = {
    "query_too_expensive": {"limit_bytes": 10737418240, "needed_bytes": 53687091200},
    "query_timeout": {"timeout_s": 30},
}


def example_problems() -> dict[str, dict[str, Any]]:
    """Return an example of each problem of the catalogue, for OpenAPI's `components.examples`."""
    return {code: {"summary": kind.title, "value": _document(code)} for code, kind in CATALOGUE.items()}


def _document(code: str) -> dict[str, Any]:
    detail = _DETAILS.get(code, CATALOGUE[code].advice)
    error = ProblemError(code, detail, errors=_ERRORS.get(code, ()), members=_MEMBERS.get(code))
    document: dict[str, Any] = msgspec.json.decode(error.body())
    return document


def sources_of(path: str, operation: Mapping[str, Any]) -> set[str]:
    """Return the names under which an operation may appear in the table of sources, whatever its stream."""
    parameters = {
        f"?{parameter['name']}" for parameter in operation.get("parameters", []) if parameter["in"] == "query"
    }
    guarded = {"/v1"} if path.startswith("/v1/") else set()
    return {operation["operationId"].removesuffix("Head").partition("_")[0], *operation["tags"], *parameters, *guarded}


def codes_for(status: int, sources: set[str]) -> list[str]:
    """Return the codes that an operation with these `sources` may return with `status`."""
    return [
        code
        for code, kind in CATALOGUE.items()
        if kind.status == status and (code not in _SOURCES or _SOURCES[code] & sources)
    ]


def problems_of(path: str, operation: Mapping[str, Any], contract: Contract) -> dict[int, dict[str, Any]]:
    """Return the problem responses of an operation by status: its own and the common ones, with examples."""
    sources = sources_of(path, operation)
    descriptions = {**_EVERYWHERE, **(_GUARDED if "/v1" in sources else {}), **contract.problems}
    return {status: _response(status, text, codes_for(status, sources)) for status, text in descriptions.items()}


def _response(status: int, description: str, codes: Iterable[str]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
    }
    headers = {}
    if status in _RETRIED:
        headers["Retry-After"] = _header(
            "The seconds to wait before the next attempt.", {"type": "integer", "minimum": 0}
        )
    if status == 401:
        headers["WWW-Authenticate"] = _header("The authentication scheme: `Bearer`.", {"type": "string"})
    return {"description": description, "headers": headers, "content": {MEDIA_TYPE: content}}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}
