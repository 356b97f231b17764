"""What the OpenAPI document says about the query side, before it is completed."""

import asyncio
from typing import Any

import pytest

from app.query.endpoints.openapi import ARROW, CSV, EVENTS, Literally, answer, operation_type, page_response, row_schema
from app.query.params.catalogue import PAGE_PARAMETERS, RECORD_PARAMETERS
from app.query.params.collector import Parameter
from app.query.params.heartbeats import without_heartbeats
from app.query.params.stats import STATS_PARAMETERS
from app.schema.columns import columns_of
from testing.service import running
from tests.contract.stores import RECORDS
from tests.query.sample_rows import Everything


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Give the document of the whole service, as it is served."""

    async def served() -> dict[str, Any]:
        async with running() as service:
            found: dict[str, Any] = (await service.client.get("/openapi/openapi.json")).json()
        return found

    return asyncio.run(served())


@pytest.mark.parametrize(
    ("path", "name", "parameters"),
    [
        ("/v1/records", "listRecords", list(PAGE_PARAMETERS)),
        ("/v1/rejects", "listRejects", [*without_heartbeats(PAGE_PARAMETERS)]),
        ("/v1/records/stats", "readStats", list(STATS_PARAMETERS)),
        ("/v1/rejects/stats", "readRejectStats", [*without_heartbeats(STATS_PARAMETERS)]),
        ("/v1/records/{record_id}", "getRecord", ["record_id", *RECORD_PARAMETERS]),
        ("/v1/problems", "listProblems", []),
        ("/v1/schema", "readSchema", []),
    ],
)
def test_the_openapi_document_describes_each_route(
    document: dict[str, Any], path: str, name: str, parameters: list[str]
) -> None:
    """GET and HEAD have names of their own, all parameters (filters come after them), and their problems."""
    for method, operation_id in (("get", name), ("head", f"{name}Head")):
        operation = document["paths"][path][method]
        assert operation["operationId"] == operation_id
        named = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert named[: len(parameters)] == parameters
        assert {"200", "400", "401", "403"} <= set(operation["responses"])
        asks_the_store = path not in {"/v1/problems", "/v1/schema"}
        assert ({"422", "503", "504"} <= set(operation["responses"])) == asks_the_store
        assert operation["summary"]
        assert operation["description"]


def test_the_openapi_document_has_the_columns_of_the_record(document: dict[str, Any]) -> None:
    """Each with its type and description, and null only where the column may be null."""
    content = document["paths"]["/v1/records"]["get"]["responses"]["200"]["content"]
    row = content["application/x-ndjson"]["schema"]
    assert list(row["properties"]) == [column.name for column in RECORDS.columns]
    assert row["properties"]["id"]["type"] == "string"
    assert row["properties"]["source"]["type"] == ["string", "null"]
    assert row["properties"]["ingest_time"]["format"] == "date-time"
    assert "type" not in row["properties"]["data"]


def test_columns_of_every_kind_have_a_schema() -> None:
    """Lists, nested structs and exact decimals are described as they are served."""
    properties = row_schema(columns_of(Everything)).to_schema()["properties"]
    assert properties["price"]["type"] == ["string", "null"]
    assert properties["raw"] == {"type": "string", "contentEncoding": "base64"}
    assert properties["prices"]["items"]["type"] == "string"
    assert properties["inner"]["type"] == ["object", "null"]
    assert list(properties["inners"]["items"]["properties"]) == ["amount", "label"]


def test_a_row_may_have_fewer_columns() -> None:
    """`fields` names those that are served, so none is required, at any depth."""
    assert "required" not in str(row_schema(columns_of(Everything)).to_schema())


def test_a_page_is_described_in_every_format() -> None:
    """As a document, as rows, and as what JSON Schema cannot describe; media types stand without parameters."""
    row = row_schema(RECORDS.columns)
    content = page_response(row, {"id": "a", "source": None}).to_schema()["content"]
    assert list(content) == ["application/json", "application/x-ndjson", CSV, ARROW]
    assert content["application/json"]["schema"]["properties"]["records"]["items"] == row.to_schema()
    assert content["application/x-ndjson"]["example"] == {"id": "a", "source": None}, "null is not left out"
    assert content[CSV]["schema"]["type"] == "string"
    assert "type" not in content[ARROW]["schema"]


def test_a_document_that_may_come_instead_of_a_page_is_described_beside_it() -> None:
    """An explanation has the same media type."""
    explanation = Literally({"type": "object", "title": "Explanation"})
    schema = page_response(row_schema(RECORDS.columns), instead=[explanation]).to_schema()["content"][
        "application/json"
    ]
    assert schema["schema"]["anyOf"][1] == {"type": "object", "title": "Explanation"}


def test_an_answer_has_its_headers_and_its_example() -> None:
    """Of an event stream, too."""
    example = "id: 1\n\n"
    described = answer("Records as they come.", {EVENTS: None}, headers=["Cache-Control"], examples={EVENTS: example})
    found = described.to_schema()
    assert found["content"] == {EVENTS: {"schema": {"description": "Server-sent events."}, "example": example}}
    assert list(found["headers"]) == ["Cache-Control"]
    assert found["headers"]["Cache-Control"]["description"]


def test_the_example_of_a_number_is_a_number() -> None:
    """As the schema says, not as the text that stands in a URL."""
    parameters = {
        "bucket": Parameter("How many.", "500", {"type": "integer", "minimum": 1}),
        "share": Parameter("How much.", "0.5", {"type": "number"}),
        "all": Parameter("Whether all.", "true", {"type": "boolean"}),
        "name": Parameter("Which.", "500", {"type": "string"}),
    }
    documented = operation_type(parameters)(operation_id="x").parameters or []
    assert [parameter.to_schema()["example"] for parameter in documented] == [500, 0.5, True, "500"]
