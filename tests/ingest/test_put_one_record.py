"""PUT accepts one record as JSON, and nothing that only looks like it."""

import gzip

import msgspec
import pytest

from sluice.testing.service import GOOD, SETTINGS, running
from tests.ingest.test_submit import OTHER, stored

_LINE = msgspec.json.encode(GOOD)
_LINES = _LINE + b"\n" + msgspec.json.encode(OTHER)
_TYPE = {"name": "Content-Type", "message": "PUT accepts one record", "example": "application/json"}
_ID = {"name": "id", "message": "must be the id in the path", "example": "a"}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("body", "content_type", "error", "told"),
    [
        (_LINES, "application/x-ndjson", _TYPE, "NDJSON is for POST /v1/records"),
        (_LINE, "Application/JSONL; charset=utf-8", _TYPE, "NDJSON is for POST /v1/records"),
        (_LINES, "application/json", _ID, "POST /v1/records accepts several records"),
        (_LINES, "", _ID, "POST /v1/records accepts several records"),
        (b"[" + _LINE + b"]", "application/json", _ID, "expected one record whose `id`"),
        (b'{"x":1e999,"id":"b"}', "application/json", _ID, "expected one record whose `id`"),
        (b'{"timestamp":"2026-01-31T12:00:00Z"}', "application/json", _ID, "expected one record whose `id`"),
        (b"3", "application/json", _ID, "expected one record whose `id`"),
        (b"[]", "application/json", _ID, "expected one record whose `id`"),
    ],
)
async def test_put_takes_one_record_and_no_more(
    body: bytes, content_type: str, error: dict[str, str], told: str, *, packed: bool
) -> None:
    """NDJSON, lines and arrays are a problem that names what would be right; nothing is stored, and nothing kept."""
    headers = {"content-type": content_type} if content_type else {}
    if packed:
        body, headers = gzip.compress(body, mtime=0), headers | {"content-encoding": "gzip"}
    async with running() as service:
        answer = await service.client.put("/v1/records/a", content=body, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["errors"]) == (422, "id_mismatch", [error])
        assert told in problem["detail"]
        assert await stored(service) == []
        assert (await service.client.get("/v1/rejects")).json()["records"] == []


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("body", [b'{"id":"a","data":"' + b"x" * 1_000 + b'"}', b"[" + b"[]," * 1_000 + b"[]]"])
async def test_put_looks_into_no_body_larger_than_a_record(body: bytes, *, packed: bool) -> None:
    """It would hold up everybody else; nothing is stored, whatever is in it."""
    headers = {"content-type": "application/json"}
    if packed:
        body, headers = gzip.compress(body, mtime=0), headers | {"content-encoding": "gzip"}
    async with running(SETTINGS.replace(max_record_bytes=1_000)) as service:
        answer = await service.client.put("/v1/records/a", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.json()["max_record_bytes"] == 1_000
        assert await stored(service) == []


async def test_an_id_that_no_path_can_have_is_not_decoded() -> None:
    """A member of the id's name may hold anything, as large as a record."""
    body = b'{"id":[' + b"[]," * 1_000 + b"[]]}"
    async with running() as service:
        answer = await service.client.put("/v1/records/a", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "id_mismatch")
