"""`GET /v1/schema`: what a record is, told by the service that stores it."""

from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest

from app.record import load_record_type
from app.schema.table import records_table, rejects_table, schema_version
from sluice.testing.service import GOOD, running

FLIGHTS = records_table(load_record_type("sluice.local.flights.record:Flight"))


async def test_the_schema_tells_the_columns_of_both_tables() -> None:
    """Where each table is read, its id, and the version of its columns."""
    async with running() as service:
        answer = await service.client.get("/v1/schema")
    assert answer.status_code == 200
    found = {table["name"]: table for table in answer.json()["tables"]}
    assert [(table["path"], table["id"]) for table in found.values()] == [("/v1/records", "id"), ("/v1/rejects", None)]
    assert found["records_rejected"]["schema_version"] == schema_version(rejects_table())
    columns = {column["path"]: column for column in found["records"]["columns"]}
    assert columns["id"] == {
        "path": "id",
        "type": "STRING",
        "mode": "REQUIRED",
        "description": "What the record is about; a later record with the same id is its new version.",
        "operators": ["eq", "ne", "lt", "lte", "gt", "gte", "in", "isnull", "prefix"],
        "groupable": False,
        "aggregable": False,
        "is_id": True,
        "is_added": False,
    }
    assert columns["ingest_time"]["is_added"]


async def test_the_schema_is_the_one_a_record_is_checked_by() -> None:
    """What it takes is stored, and what it refuses is rejected."""
    async with running() as service:
        schema = (await service.client.get("/v1/schema")).json()["tables"][0]["json_schema"]
        validator = jsonschema_rs.validator_for(schema)
        for record, is_stored in ((GOOD, True), ({"id": "a"}, False), ({**GOOD, "unknown": 1}, False)):
            assert validator.is_valid(record) == is_stored
            answer = await service.client.post("/v1/records", json=record)
            assert answer.status_code == (201 if is_stored else 422)


@pytest.mark.parametrize("path", ["/v1/schema", "/v1/problems"])
async def test_what_has_not_changed_is_not_sent_again(path: str) -> None:
    """An entity tag, strong or weakened on the way, is answered with 304; another one with the whole."""
    async with running() as service:
        got = await service.client.get(path)
        tag = got.headers["etag"]
        for asked, status in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200)):
            answer = await service.client.get(path, headers={"If-None-Match": asked})
            assert (answer.status_code, answer.headers["etag"]) == (status, tag)
            assert answer.headers["cache-control"] == got.headers["cache-control"] == "private, max-age=300"
            assert bool(answer.content) == (status == 200)
        head = await service.client.head(path)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
        wrong = await service.client.get(path, params={"table": "records"})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_parameter")


def version_of(*fields: tuple[str, Any]) -> str:
    """Return the version of a record type with these fields."""
    return schema_version(records_table(msgspec.defstruct("First", fields, forbid_unknown_fields=True)))


def test_the_version_changes_with_the_shape_of_rows_and_with_nothing_else() -> None:
    """A type, a mode, a column more or a table's name; not a description."""
    b = ("b", str | None)
    same = version_of(("a", int), b)
    assert same == version_of(("a", Annotated[int, msgspec.Meta(description="A number.")]), b)
    others = {
        version_of(("a", float), b),
        version_of(("a", int | None), b),
        version_of(("a", list[int]), b),
        version_of(("a", int), b, ("c", bool)),
        version_of(b, ("a", int)),
        schema_version(rejects_table()),
    }
    assert len(others | {same}) == 7
    assert len(same) == 12
