"""The OpenAPI document: valid, complete, and with examples that are what they are examples of."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from litestar.routes import HTTPRoute
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app.http.problems import CATALOGUE, MEDIA_TYPE
from app.main import create_app
from app.openapi.document import make_document
from sluice.testing.service import SETTINGS, running

# Routes that are not in the document, and why.
UNDOCUMENTED = {
    "/": "the page for people, and where everything is",
    "/page/{version}/{name}": "its files",
    "/docs": "the reference page",
    "/docs/{version}/{name}": "its files",
    "/openapi/openapi.json": "the document itself",
    "/v1/records/{record_id}/{rest}": "ids that hold slashes: documented as /v1/records/{record_id}",
    "/pubsub/push/{stream}": "with one type: what /pubsub/push is, for subscriptions that already name a stream",
}
# `method_not_allowed` answers methods that are not in the document.
NOT_OF_AN_OPERATION = {"method_not_allowed"}
# It takes nothing and looks at nothing, so there is nothing to be wrong.
NEVER_REFUSED = {"live", "liveHead"}


async def document_of(record: str = SETTINGS.store.record) -> dict[str, Any]:
    """Return the document of a service with this record type."""
    async with running(SETTINGS.replace(record=record)) as service:
        answer = await service.client.get("/openapi/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return the operations, each with its path and method."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(document: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference refers to."""
    for name in item.get("$ref", "").split("/")[1:]:
        document = document[name]
    return document if "$ref" in item else item


def media_types(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every described body, of requests and answers, with a name to find it by."""
    for path, method, operation in operations(document):
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for what, body in bodies.items():
            for media_type, described in body.get("content", {}).items():
                yield f"{method} {path} {what} {media_type}", described


def examples(document: dict[str, Any], described: dict[str, Any]) -> list[Any]:
    """Return the examples of a body or a parameter."""
    alone = [described["example"]] if "example" in described else []
    return alone + [resolved(document, each)["value"] for each in described.get("examples", {}).values()]


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return what checks a value against a schema of the document."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"], **schema}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


@pytest.mark.parametrize("record", ["app.record:Record", "sluice.local.flights.record:Flight"])
async def test_the_document_is_valid(record: str) -> None:
    """By the specification's own schema of OpenAPI 3.1, and each schema in it by JSON Schema's."""
    document = await document_of(record)
    jsonschema_rs.validator_for(OPENAPI_31).validate(document)
    for _, described in media_types(document):
        jsonschema_rs.meta.validate(described.get("schema", {}))
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize("record", ["app.record:Record", "sluice.local.flights.record:Flight"])
async def test_every_example_fits_its_schema(record: str) -> None:
    """Of parameters, of what is sent and of what is answered."""
    document = await document_of(record)
    seen = 0
    for name, described in media_types(document):
        for example in examples(document, described):
            seen += 1
            errors = list(validator(document, described["schema"]).iter_errors(example))
            assert not errors, f"{name}: {errors[0].message}"
    for path, _, operation in operations(document):
        for parameter in (resolved(document, each) for each in operation.get("parameters", [])):
            for example in examples(document, parameter):
                seen += 1
                assert validator(document, parameter["schema"]).is_valid(example), f"{path} {parameter['name']}"
    assert seen > 100


@pytest.mark.parametrize("record", ["app.record:Record", "tests.contract.service:Nameless"])
def test_every_route_is_documented(record: str) -> None:
    """With each of its methods, or named above with the reason why not."""
    app = create_app(SETTINGS.replace(record=record)).litestar
    paths = make_document(app.routes)["paths"]
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path_format in UNDOCUMENTED:
            continue
        methods = {method.lower() for method in route.route_handler_map} - {"options"}
        assert methods <= set(paths[route.path_format]), route.path_format


async def test_every_operation_names_its_problems() -> None:
    """At least one that is the caller's fault, each with an example of every code it may carry."""
    document = await document_of()
    found: set[str] = set()
    for path, method, operation in operations(document):
        refusals = [status for status in operation["responses"] if status.startswith("4")]
        assert bool(refusals) != (operation["operationId"] in NEVER_REFUSED), (path, method)
        if path.startswith("/v1/"):
            assert {"400", "401", "403", "429", "500"} <= set(operation["responses"]), (path, method)
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            if method == "head":
                assert not content, (path, status)
            elif status >= "400" and not (path.startswith("/health/") and status == "503"):
                codes = set(content[MEDIA_TYPE]["examples"])
                assert codes, (path, status)
                assert {CATALOGUE[code].status for code in codes} == {int(status)}, (path, status)
                found |= codes
    assert found == set(CATALOGUE) - NOT_OF_AN_OPERATION


async def test_what_needs_a_token_says_so() -> None:
    """All of /v1 one of a principal, pushes one of theirs, health none."""
    document = await document_of()
    schemes = document["components"]["securitySchemes"]
    assert {(scheme["type"], scheme["scheme"]) for scheme in schemes.values()} == {("http", "bearer")}
    for path, _, operation in operations(document):
        needed = operation.get("security", document["security"])
        expected: list[Any] = [{"token": []}] if path.startswith("/v1/") else []
        assert needed == ([{"pushToken": []}] if path == "/pubsub/push" else expected), path


async def test_behind_a_prefix_the_server_has_it() -> None:
    """What is tried out on the page reaches the service."""
    async with running() as service:
        plain = await service.client.get("/openapi/openapi.json")
        service.client._transport.root_path = "/sluice"  # type: ignore[attr-defined] # httpx's ASGITransport
        prefixed = await service.client.get("/openapi/openapi.json")
    assert plain.json()["servers"][0]["url"] == "/"
    assert prefixed.json()["servers"][0]["url"] == "/sluice"
    assert plain.headers["etag"] != prefixed.headers["etag"]
