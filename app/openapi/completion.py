"""Complete the framework's OpenAPI document with what all operations share. Pure: it returns a new document.

It depends only on an operation's path, method and tags, so it covers routes that are added later, too.
"""

from collections.abc import Mapping
from typing import Any

from app.http import paths
from app.openapi.about import PUSH_TOKEN, SECURITY_SCHEMES, TAGS, TOKEN
from app.openapi.bodies import parameter_references, record_schemas, request_body, sent_parameters
from app.openapi.problems import example_problems, with_problems
from app.schema.table import Table

_Document = dict[str, Any]
_METHODS = ("get", "head", "put", "post", "delete", "options", "patch", "trace")
_RATE_HEADERS = {
    "RateLimit": "What is left of the caller's requests, and for how long. Missing where there is no limit.",
    "RateLimit-Policy": "The caller's limit. Missing where there is none.",
}
_PATH_PARAMETERS = {"record_id": "The record's id, percent-encoded; it may hold slashes."}
_KEY = "http:5f0c1c7e4b6d4c1c9a1b2c3d4e5f6a7b"
_STORED = {"index": 0, "status": "stored", "delivery_key": f"{_KEY}:0", "id": "order-1042"}
_REJECTED = {
    "index": 1,
    "status": "rejected",
    "delivery_key": f"{_KEY}:1",
    "reason": "invalid",
    "field": "source",
    "detail": "Expected `str`, got `int` - at `$.source`",
}
_READY = {
    "status": "ready",
    "system": "orders",
    "instance": "3f9a1c07",
    "version": "0.1.0",
    "uptime_s": 86_400.5,
    "in_flight_messages": 3,
    "in_flight_bytes": 4_096,
    "sinks": {
        "records": {
            "state": "NOT_FOUND",
            "since": "2026-01-31T12:00:00.123Z",
            "detail": None,
            "help": "docs/operations.md#sink-state-not_found",
            "stuck": False,
            "waiting": 0,
            "oldest_wait_s": 0.0,
            "connections": 1,
        }
    },
    "store": {
        "kind": "bigquery",
        "reads": {"state": "ACTIVE", "since": "2026-01-30T12:00:00.456Z", "detail": None, "help": None},
    },
    "counters": {"push_answers": {"204": 12}},
}
# Example responses of routes without their own examples, by schema.
_EXAMPLES: dict[str, Any] = {
    "StoredAnswer": {"records": [_STORED]},
    "MixedAnswer": {"results": [_STORED, _REJECTED]},
    "Readiness": _READY,
    "ErasureAnswer": {
        "erased": {"records": 3, "rejects": 1},
        "remaining": {"records": 0, "rejects": 0},
        "complete": True,
        "retry_after_s": None,
        "other_instances_s": 70.0,
    },
}


def complete(document: Mapping[str, Any], records: Table, *, root_path: str = "") -> _Document:
    """Return `document` with tokens, problems, request bodies, headers, examples and links.

    `root_path` is the path prefix of the service; `records` is the table of the record type.
    """
    found = _Document(document)
    found["servers"] = [{"url": root_path or "/", "description": "This instance."}]
    found["tags"] = TAGS
    found["security"] = [{TOKEN: []}]
    found["paths"] = {path: _path_item(path, item, records) for path, item in document["paths"].items()}
    components = _Document(document.get("components", {}))
    components["schemas"] = {**components.get("schemas", {}), **record_schemas(records)}
    components["examples"] = example_problems()
    components["parameters"] = sent_parameters()
    components["headers"] = {
        name: {"description": description, "schema": {"type": "string"}} for name, description in _RATE_HEADERS.items()
    }
    components["securitySchemes"] = SECURITY_SCHEMES
    found["components"] = components
    return found


def _path_item(path: str, item: Mapping[str, Any], records: Table) -> _Document:
    return {
        method: _operation(path, method, described, records) if method in _METHODS else described
        for method, described in item.items()
    }


def _operation(path: str, method: str, described: Mapping[str, Any], records: Table) -> _Document:
    operation = _without_noise(described)
    body = request_body(operation["operationId"], records)
    if body is not None:
        operation["requestBody"] = body
        if path != paths.PUSH:
            operation["parameters"] = [*operation.get("parameters", []), *parameter_references()]
    if path == paths.PUSH:
        operation["security"] = [{PUSH_TOKEN: []}]
    elif not path.startswith("/v1/"):
        operation["security"] = []
    responses = {
        status: _with_example(_without_header_noise(response)) for status, response in operation["responses"].items()
    }
    responses = with_problems(path, operation, responses)
    if path.startswith("/v1/"):
        responses = {status: _with_rate_headers(response) for status, response in responses.items()}
    if method == "head":
        responses = {status: _without_content(response) for status, response in responses.items()}
    if method == "post" and path == paths.RECORDS and records.id is not None:
        responses["201"] = {**responses["201"], "links": _links()}
    operation["responses"] = responses
    return operation


def _without_noise(described: Mapping[str, Any]) -> _Document:
    """Return an operation without noise: flags that are false."""
    operation = {name: value for name, value in described.items() if value is not False}
    if "parameters" in operation:
        operation["parameters"] = [_parameter(parameter) for parameter in operation["parameters"]]
    return operation


def _parameter(described: Mapping[str, Any]) -> _Document:
    parameter = {name: value for name, value in described.items() if value is not False}
    if parameter.get("in") == "path" and parameter["name"] in _PATH_PARAMETERS:
        parameter.setdefault("description", _PATH_PARAMETERS[parameter["name"]])
    return parameter


def _without_header_noise(response: Mapping[str, Any]) -> _Document:
    headers = {
        name: {word: value for word, value in header.items() if value is not False}
        for name, header in response.get("headers", {}).items()
    }
    return {**response, "headers": headers} if headers else _without(response, "headers")


def _with_example(response: Mapping[str, Any]) -> _Document:
    content = {}
    for media_type, described in response.get("content", {}).items():
        name = described.get("schema", {}).get("$ref", "").rpartition("/")[2]
        is_bare = name in _EXAMPLES and not {"example", "examples"} & set(described)
        content[media_type] = {**described, "example": _EXAMPLES[name]} if is_bare else described
    return {**response, "content": content} if content else dict(response)


def _with_rate_headers(response: Mapping[str, Any]) -> _Document:
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in _RATE_HEADERS}
    return {**response, "headers": {**response.get("headers", {}), **references}}


def _without_content(response: Mapping[str, Any]) -> _Document:
    """Return the response to a HEAD: it has no body."""
    return _without(response, "content")


def _without(document: Mapping[str, Any], left_out: str) -> _Document:
    return {name: value for name, value in document.items() if name != left_out}


def _links() -> _Document:
    return {
        "record": {
            "operationId": "getRecord",
            "parameters": {"record_id": "$response.body#/records/0/id"},
            "description": "The first record that was stored, to be read at once.",
        }
    }
