"""PUT stores one record, whose id is the one in the path."""

import gzip

import msgspec
import pytest

from sluice.testing.service import GOOD, running
from tests.ingest.test_submit import OTHER, stored

_LINE = msgspec.json.encode(GOOD)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (_LINE + b"\n" + msgspec.json.encode(OTHER), "application/x-ndjson"),
        (msgspec.json.encode([GOOD, OTHER]), "application/json"),
        (msgspec.json.encode(OTHER), "application/json"),
        (b"[]", "application/json"),
    ],
    ids=["lines", "array", "another", "none"],
)
async def test_put_takes_one_record_and_no_more(body: bytes, content_type: str, *, packed: bool) -> None:
    """Anything else is a problem that names the id; nothing is stored, and nothing kept among the rejects."""
    headers = {"content-type": content_type} if content_type else {}
    if packed:
        body, headers = gzip.compress(body, mtime=0), headers | {"content-encoding": "gzip"}
    async with running() as service:
        answer = await service.client.put("/v1/records/a", content=body, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "id_mismatch")
        assert problem["errors"] == [{"name": "id", "message": "must be the id in the path", "example": "a"}]
        assert await stored(service) == []
        assert (await service.client.get("/v1/rejects")).json()["records"] == []


async def test_a_record_that_the_type_refuses_is_rejected_as_by_post() -> None:
    """With its reason, and durably."""
    async with running() as service:
        answer = await service.client.put("/v1/records/a", json={"id": "a"})
        assert (answer.status_code, answer.json()["code"]) == (422, "rejected")
        (kept,) = (await service.client.get("/v1/rejects?freshness=latest")).json()["records"]
        assert kept["reason"] == "invalid"


async def test_a_refused_key_may_be_used_again() -> None:
    """A request that stored nothing is no delivery that counts."""
    key = {"Idempotency-Key": "k"}
    async with running() as service:
        assert (await service.client.put("/v1/records/a", json=OTHER, headers=key)).status_code == 422
        assert (await service.client.put("/v1/records/a", json=GOOD, headers=key)).status_code == 200
        assert [row["id"] for row in await stored(service)] == ["a"]


async def test_an_id_may_hold_slashes() -> None:
    """As in the routes that read and erase it."""
    async with running() as service:
        assert (await service.client.put("/v1/records/a/b", json=GOOD | {"id": "a/b"})).status_code == 200
        assert (await service.client.get("/v1/records/a/b")).json()["id"] == "a/b"
