"""Records whose id is another path: read and erased with the id in the query."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.streams import Stream
from sluice.testing.service import SETTINGS, running


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """A type whose id has no role but that."""

    order_id: Annotated[str, Meta(extra={"sluice": ["id"]})]


class Payment(msgspec.Struct, forbid_unknown_fields=True):
    """Another one, with numbers."""

    payment: Annotated[int, Meta(extra={"sluice": ["id"]})]


STREAMS = {"orders": Stream(record=Order), "payments": Stream(record=Payment, attributes={"kind": "payment"})}
NAME = "tests.query.test_erase_by_query"
CASES: list[tuple[dict[str, str], str, str, Any]] = [
    ({}, "/v1/records", "id", "tail"),
    ({"record": f"{NAME}:Order"}, "/v1/records", "order_id", "stats"),
    ({"streams": f"{NAME}:STREAMS"}, "/v1/streams/orders/records", "order_id", "tail"),
    ({"streams": f"{NAME}:STREAMS"}, "/v1/streams/payments/records", "payment", 7),
]


@pytest.mark.parametrize(("settings", "path", "name", "record_id"), CASES)
async def test_any_record_is_read_and_erased_by_its_id_in_the_query(
    settings: dict[str, str], path: str, name: str, record_id: Any
) -> None:
    """Whatever the type calls its id, with the role `filter` or without."""
    extra = {} if settings else {"timestamp": "2026-01-31T12:00:00Z"}
    other = 8 if isinstance(record_id, int) else "other"
    async with running(SETTINGS.replace(**settings)) as service:
        client, query = service.client, {name: record_id}
        posted = await client.post(path, json=[{name: each} | extra for each in (record_id, other)])
        assert posted.status_code == 201, posted.text
        found = await client.get(path, params=query)
        assert [record[name] for record in found.json()["records"]] == [record_id]
        erased = await client.delete(path, params=query)
        assert (erased.status_code, erased.json()["erased"]) == (200, 1)
        left = await client.get(path)
        assert [record[name] for record in left.json()["records"]] == [other]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "id: the id of the record to erase is missing"),
        ("id=a&id=b", "id: must be given only once"),
        ("id=a&since=now", "since: there is no such parameter"),
    ],
)
async def test_an_erasure_names_one_record(query: str, said: str) -> None:
    """Nothing is erased by a filter, or without any."""
    async with running() as service:
        refused = await service.client.delete(f"/v1/records?{query}")
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter")
        assert refused.json()["detail"].startswith(said)
