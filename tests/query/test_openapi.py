"""What the OpenAPI document says about the query side."""

import asyncio
from typing import Any

import pytest

from app.query.request.parameters import CANARY, PAGE_PARAMETERS, RECORD_PARAMETERS
from app.query.request.stats import STATS_PARAMETERS
from sluice.testing.service import running
from tests.contract.stores import RECORDS


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
        ("/v1/rejects", "listRejects", [name for name in PAGE_PARAMETERS if name != CANARY]),
        ("/v1/records/stats", "readStats", list(STATS_PARAMETERS)),
        ("/v1/rejects/stats", "readRejectStats", [name for name in STATS_PARAMETERS if name != CANARY]),
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
    """Each with its type and description, and null only where the column may be null; `fields` may leave any out."""
    row = document["components"]["schemas"]["StoredRecord"]
    assert list(row["properties"]) == [column.name for column in RECORDS.columns]
    assert row["properties"]["id"]["type"] == "string"
    assert row["properties"]["source"]["type"] == ["string", "null"]
    assert row["properties"]["ingest_time"]["format"] == "date-time"
    assert "type" not in row["properties"]["data"]
    assert "required" not in row
