"""What the OpenAPI document says about the query side."""

from typing import Any

import pytest

from app.query.endpoints.openapi import row_schema
from app.schema.columns import columns_of
from tests.contract.service import Client
from tests.contract.stores import RECORDS
from tests.query.test_formats import Everything


def _operation(client: Client, path: str, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = client.get("/schema/openapi.json").json()["paths"][path][method]
    return operation


@pytest.mark.parametrize(
    ("path", "name", "parameters"),
    [
        ("/v1/records", "listRecords", ["since", "until", "cursor", "limit", "order", "format"]),
        ("/v1/rejects", "listRejects", ["since", "until", "cursor", "limit", "order", "format"]),
        ("/v1/records/{record_id}", "getRecord", ["record_id", "versions"]),
        ("/v1/problems", "listProblems", []),
    ],
)
def test_the_openapi_document_describes_each_route(client: Client, path: str, name: str, parameters: list[str]) -> None:
    """GET and HEAD have names of their own, all parameters, and their problems."""
    for method, operation_id in (("get", name), ("head", f"{name}Head")):
        operation = _operation(client, path, method)
        assert operation["operationId"] == operation_id
        assert [parameter["name"] for parameter in operation.get("parameters", [])] == parameters
        assert {"200", "400", "401", "403"} <= set(operation["responses"])
        asks_the_store = path != "/v1/problems"
        assert ({"422", "503", "504"} <= set(operation["responses"])) == asks_the_store
        assert operation["summary"]
        assert operation["description"]


def test_the_openapi_document_has_the_columns_of_the_record(client: Client) -> None:
    """Each with its type and description, and null only where the column may be null."""
    content = _operation(client, "/v1/records", "get")["responses"]["200"]["content"]
    row = content["application/x-ndjson"]["schema"]
    assert list(row["properties"]) == [column.name for column in RECORDS.columns]
    assert row["properties"]["id"]["type"] == "string"
    assert row["properties"]["source"]["type"] == ["string", "null"]
    assert row["properties"]["ingest_time"]["format"] == "date-time"
    assert "type" not in row["properties"]["data"]
    assert content["application/json"]["schema"]["properties"]["records"]["items"] == row


def test_columns_of_every_kind_have_a_schema() -> None:
    """Lists, nested structs and exact decimals are described as they are served."""
    properties = row_schema(columns_of(Everything)).to_schema()["properties"]
    assert properties["price"]["type"] == ["string", "null"]
    assert properties["raw"] == {"type": "string", "contentEncoding": "base64"}
    assert properties["prices"]["items"]["type"] == "string"
    assert properties["inner"]["type"] == ["object", "null"]
    assert properties["inners"]["items"]["required"] == ["amount", "label"]
