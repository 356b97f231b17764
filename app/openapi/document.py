"""The OpenAPI document at `/openapi/openapi.json`, made from the contracts of the routes (app.http.contract)."""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from app.http import paths
from app.http.assets import REVALIDATED, Asset, StaticPage, asset, asset_response
from app.http.contract import CONTRACT, PER_STREAM, Answer, Contract, Named, Parameter, Sent
from app.http.problems import CATALOGUE, MEDIA_TYPE, FieldError, Problem, ProblemError
from app.http.reading import METHODS
from app.schema.record_json import record_components

PATH = "/openapi/openapi.json"
_DOCUMENT_TYPE = "application/vnd.oai.openapi+json"
_SCHEMAS = "#/components/schemas/"
_SENT = "sent."  # prefix for the names of the record's types
_RATE_HEADERS = {
    "RateLimit": (
        "The caller's remaining requests and bytes, and the seconds until each limit resets. Missing if there is none."
    ),
    "RateLimit-Policy": "The caller's limits. Missing if there is none.",
}


def document_route() -> HTTPRouteHandler:
    """Return the route of the document."""
    documents: dict[str, Asset] = {}

    @route(PATH, http_method=METHODS)
    async def read_document(request: Request[Any, Any, Any]) -> Response[bytes]:
        root_path = str(request.scope.get("root_path", ""))
        if root_path not in documents:  # the server's setting: there is at most one
            # Made on first request to keep start-up fast: not every instance is asked for it.
            body = msgspec.json.encode(make_document(request.app.routes, root_path))
            documents[root_path] = asset(body, _DOCUMENT_TYPE)
        return asset_response(request, documents[root_path], REVALIDATED)

    return read_document


def make_document(routes: Iterable[BaseRoute], root_path: str = "") -> dict[str, Any]:
    """Return the document of those of `routes` that are documented; `root_path` is the service's path prefix."""
    components = _Components()
    components.refer(Problem)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": root_path or "/", "description": "This instance."}],
        "security": [{TOKEN: []}],
        "tags": TAGS,
        "paths": _paths(routes, components),
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "examples": _example_problems(),
            "headers": {name: _header(text) for name, text in _RATE_HEADERS.items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


class _Components:
    """The schemas that others refer to, by name.

    `stream` is the one whose operations are being described. What differs there from a schema of the same name gets a
    name of its own, which ends with that of the stream.
    """

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self.stream = ""
        self._made: dict[tuple[str, str], str] = {}

    def named(self, name: str) -> str:
        """Return a name that is the stream's own."""
        return f"{name}_{self.stream}" if self.stream else name

    def refer(self, schema: Any) -> Any:
        """Return `schema` as plain JSON Schema, with types and named schemas replaced by references."""
        match schema:
            case Named(name, described):
                return {"$ref": _SCHEMAS + self._component(name, described)}
            case Sent(type_):
                template = _SENT + self.named("{name}")
                (made,), components = record_components((type_,), _SCHEMAS + template)
                return self._add(template, made, components)
            case type():
                (made,), components = msgspec.json.schema_components((schema,), ref_template=f"{_SCHEMAS}{{name}}")
                return self._add("{name}", made, components)
            case dict():
                return {name: self.refer(value) for name, value in schema.items()}
            case list() | tuple():
                return [self.refer(value) for value in schema]
            case _:
                return schema

    def _component(self, name: str, described: Any) -> str:
        """Return the name of the component for a schema: that of an equal one, if there is one."""
        made = self._made.get((name, self.stream))
        if made is not None:
            return made
        known, own = name in self.schemas, self.named(name)
        self._made[name, self.stream] = own  # for those that refer to themselves
        reference = self.refer(described)
        if not self.stream or (known and self.schemas[name] == reference):
            own = name
        self._made[name, self.stream] = own
        self.schemas[own] = reference
        return own

    def _add(self, template: str, schema: Any, components: Mapping[str, Any]) -> Any:
        """Add the classes of a type to the components, under the names that `template` gives; return its `schema`."""
        self.schemas |= {template.format(name=name): _tidy(each) for name, each in components.items()}
        return schema


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a Struct's schema as generators of clients need it: under one name, and with the types of its words."""
    tidied = {name: value for name, value in schema.items() if name != "title"}
    if "description" in tidied:
        tidied["description"] = inspect.cleandoc(tidied["description"])
    properties = tidied.get("properties", {})
    return tidied | ({"properties": {name: _typed(each) for name, each in properties.items()}} if properties else {})


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    is_word = "type" not in schema and all(isinstance(each, str) for each in schema.get("enum", [None]))
    return {"type": "string", **schema} if is_word else schema


def _paths(routes: Iterable[BaseRoute], components: _Components) -> dict[str, Any]:
    by_path: dict[str, Any] = {}
    for each in routes:
        if not isinstance(each, HTTPRoute):
            continue
        for handler in each.route_handlers:
            for path, stream, contract in _contracts(each.path_format, handler):
                components.stream = stream
                for method in sorted(handler.http_methods):
                    operation = _operation(path, str(method), handler, contract, components)
                    by_path.setdefault(path, {})[method.lower()] = operation
    return by_path


def _contracts(path: str, handler: HTTPRouteHandler) -> Iterable[tuple[str, str, Contract]]:
    """Yield the path, the stream and the contract of each operation of a route; the stream is empty for `/v1/records`.

    A route for all streams is one path for each: their types differ, so a single path would describe none of them.
    """
    if CONTRACT in handler.opt and "{stream" not in path:
        yield path, "", handler.opt[CONTRACT]
    for stream, contract in handler.opt.get(PER_STREAM, {}).items() if "{stream" in path else ():
        yield path.replace("{stream}", stream), stream, contract


def _operation(
    path: str, method: str, handler: HTTPRouteHandler, contract: Contract, components: _Components
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": list(handler.tags or ()),
        "summary": handler.summary,
        "description": handler.description,
        "operationId": components.named(str(handler.operation_id)) + ("Head" if method == "HEAD" else ""),
    }
    if contract.parameters:
        operation["parameters"] = [described_parameter(name, each) for name, each in contract.parameters.items()]
    if contract.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(contract.body, components)}
    if not path.startswith("/v1/"):
        operation["security"] = [{PUSH_TOKEN: []}] if path.startswith(paths.PUSH) else []
    responses = {status: _answer(each, components) for status, each in contract.answers.items()}
    responses |= _problems_of(path, operation, contract)
    operation["responses"] = {str(status): _shared(path, method, responses[status]) for status in sorted(responses)}
    return operation


def _shared(path: str, method: str, response: dict[str, Any]) -> dict[str, Any]:
    """Return a response with the headers of all of /v1; a HEAD's without content."""
    if path.startswith("/v1/"):
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in _RATE_HEADERS}
        response = {**response, "headers": {**response.get("headers", {}), **references}}
    return {name: value for name, value in response.items() if name != "content" or method != "HEAD"}


def described_parameter(name: str, parameter: Parameter) -> dict[str, Any]:
    """Return the description of a parameter, its example and default in its own type."""
    default = f" By default `{parameter.default}`." if parameter.defers else ""
    described: dict[str, Any] = {"name": name, "in": parameter.location, "description": parameter.description + default}
    if parameter.required or parameter.location == "path":
        described["required"] = True
    schema = dict(parameter.schema)
    if parameter.default is not None and not parameter.defers:
        schema["default"] = _value(schema, parameter.default)
    described["schema"] = schema
    return described if parameter.example is None else {**described, "example": _value(schema, parameter.example)}


def _value(schema: Mapping[str, Any], text: str) -> Any:
    return msgspec.json.decode(text) if schema.get("type") in {"integer", "number", "boolean"} else text


def _answer(answer: Answer, components: _Components) -> dict[str, Any]:
    response = {
        "description": answer.description,
        "headers": {name: _header(text) for name, text in answer.headers.items()},
        "content": _content(answer.content, components),
    }
    return {name: value for name, value in response.items() if value}


def _content(content: Mapping[str, Mapping[str, Any]], components: _Components) -> dict[str, Any]:
    return {
        # Media types have no parameters here: those of a response may differ.
        media_type.partition(";")[0]: {**media, "schema": components.refer(media["schema"])}
        for media_type, media in content.items()
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


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
        "busy": "ingest listRecords listRejects readState readStats tailRecords",
        "unavailable": "ingest query erase",
        "query_too_expensive": "?since readState getRecord erase",
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
    "query_too_expensive": "the query would read 53687091200 bytes; the limit is 10737418240 bytes",
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


def _example_problems() -> dict[str, dict[str, Any]]:
    """Return an example of each problem of the catalogue, for OpenAPI's `components.examples`."""
    return {code: {"summary": kind.title, "value": _document(code)} for code, kind in CATALOGUE.items()}


def _document(code: str) -> dict[str, Any]:
    detail = _DETAILS.get(code, CATALOGUE[code].advice)
    error = ProblemError(code, detail, errors=_ERRORS.get(code, ()), members=_MEMBERS.get(code))
    document: dict[str, Any] = msgspec.json.decode(error.body())
    return document


def _sources_of(path: str, operation: Mapping[str, Any]) -> set[str]:
    """Return the names under which an operation may appear in the table of sources, whatever its stream."""
    parameters = {
        f"?{parameter['name']}" for parameter in operation.get("parameters", []) if parameter["in"] == "query"
    }
    guarded = {"/v1"} if path.startswith("/v1/") else set()
    return {operation["operationId"].removesuffix("Head").partition("_")[0], *operation["tags"], *parameters, *guarded}


def _codes_for(status: int, sources: set[str]) -> list[str]:
    """Return the codes that an operation with these `sources` may return with `status`."""
    return [
        code
        for code, kind in CATALOGUE.items()
        if kind.status == status and (code not in _SOURCES or _SOURCES[code] & sources)
    ]


def _problems_of(path: str, operation: Mapping[str, Any], contract: Contract) -> dict[int, dict[str, Any]]:
    """Return the problem responses of an operation by status: its own and the common ones, with examples."""
    sources = _sources_of(path, operation)
    descriptions = {**_EVERYWHERE, **(_GUARDED if "/v1" in sources else {}), **contract.problems}
    return {status: _response(status, text, _codes_for(status, sources)) for status, text in descriptions.items()}


def _response(status: int, description: str, codes: Iterable[str]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
    }
    headers = {}
    if status in _RETRIED:
        headers["Retry-After"] = {
            "description": "The seconds to wait before the next attempt.",
            "schema": {"type": "integer", "minimum": 0},
        }
    if status == 401:
        headers["WWW-Authenticate"] = _header("The authentication scheme: `Bearer`.")
    return {"description": description, "headers": headers, "content": {MEDIA_TYPE: content}}


TITLE = "Sluice"
VERSION = "1"
SUMMARY = "Ingest messages from Pub/Sub; read records by time."
DESCRIPTION = """\
Sluice validates and stores records that Pub/Sub pushes or that are posted here, and serves them through this API.

**Reading.** `GET /v1/records?since=-PT1H` reads a window of `ingest_time`, oldest first. While `next_cursor` is not
null, the window has more: repeat the request with `cursor=<next_cursor>`. At the end of the window, keep
`resume_cursor`: a later request with it continues with newer records. A page may be short, even empty, while
`next_cursor` is set. Cursors are opaque, belong to the filters of their query, and grant no access. In every format
but JSON, the cursors are in the headers.

**Guarantees.** A client that follows the cursors sees each record exactly once, in one order, regardless of the number
of writers and deliveries. Windows end at the *settled horizon*, before which no new record can appear;
`freshness=latest` reads beyond it. A 2xx to a write means that the record is durable.

**Errors.** An error is a problem document (RFC 9457) with a stable `code`; `GET /v1/problems` lists all codes, with
advice for each. An unknown parameter is always an error. Within `/v1`, parameters and members of JSON documents may be
added, but none is removed or changes its meaning. Every GET endpoint also answers HEAD.\
"""
INFO: dict[str, Any] = {
    "title": TITLE,
    "version": VERSION,
    "summary": SUMMARY,
    "description": DESCRIPTION,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS: list[dict[str, Any]] = [
    {"name": "query", "description": "Read stored data: pages, single records, rejected records, and the schema."},
    {
        "name": "ingest",
        "description": "Store records: pushed by Pub/Sub, or posted. A 2xx means that they are durable.",
    },
    {"name": "erase", "description": "Permanently delete a record, its versions and its rejects."},
    {"name": "operations", "description": "For operators: whether the process works, and whether it can serve."},
]
TOKEN, PUSH_TOKEN = "token", "pushToken"
SECURITY_SCHEMES: dict[str, Any] = {
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "A Google-signed ID token for the service's audience, of a principal with access; or an API key. "
            "An instance that listens on loopback only may need no token."
        ),
    },
    PUSH_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The ID token of the push subscription's service account, which may only push.",
    },
}


PAGE_PATH = "/docs"


def reference_routes() -> list[HTTPRouteHandler]:
    """Return the routes of the page and its files."""
    page = StaticPage(Path(__file__).parent, PAGE_PATH)

    @route(PAGE_PATH, http_method=METHODS)
    async def read_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        # With a trailing slash, the browser would resolve relative URLs one level further down.
        if bytes(request.scope.get("raw_path") or b"").partition(b"?")[0].endswith(b"/"):
            return Response(b"", status_code=308, headers={"Location": f"..{PAGE_PATH}"})
        return asset_response(request, await page.html(), REVALIDATED)

    return [read_page, page.files_route()]
