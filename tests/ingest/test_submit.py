"""Records over HTTP: the answers, and what an Idempotency-Key means."""

import asyncio
import gzip
from typing import Any

import httpx
import msgspec
import pytest

from app.schema.table import RECORDS, Table
from app.stores.sink import Appender, QuotaExceeded, SetupError, SinkState, Stored
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, Service, running
from tests.ingest.scripted import ScriptedAppender, reply_later, turns

OTHER = {**GOOD, "id": "b"}
LINES = msgspec.json.Encoder().encode_lines([GOOD, OTHER])


async def post(service: Service, body: Any, **headers: str) -> httpx.Response:
    """POST `body` (JSON, unless it is bytes); headers are named with `_` for `-`."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.client.post("/v1/records", content=content, headers=named)


async def stored(service: Service) -> list[dict[str, Any]]:
    """Read everything back through the API."""
    answer = await service.client.get("/v1/records")
    records: list[dict[str, Any]] = answer.json()["records"]
    return records


@pytest.mark.parametrize(
    ("body", "headers", "ids"),
    [
        (GOOD, {}, ["a"]),
        ([GOOD, OTHER], {}, ["a", "b"]),
        (LINES, {"content_type": "application/x-ndjson"}, ["a", "b"]),
        (gzip.compress(msgspec.json.encode(GOOD), mtime=0), {"content_encoding": "gzip"}, ["a"]),
        ([], {}, []),
    ],
)
async def test_stored_records_are_201_with_their_keys(body: Any, headers: dict[str, str], ids: list[str]) -> None:
    """The answer names each record, and each can be read at once under the same keys."""
    async with running() as service:
        answer = await post(service, body, **headers)
        assert answer.status_code == 201
        told = answer.json()["records"]
        assert [record["id"] for record in told] == ids
        assert [record["index"] for record in told] == list(range(len(ids)))
        read = await stored(service)
        assert sorted(record["delivery_key"] for record in read) == sorted(record["delivery_key"] for record in told)
        for record in read:
            assert record["message_id"] is record["subscription_name"] is record["publish_time"] is None


async def test_some_rejected_is_207_with_each_records_fate() -> None:
    """The good ones are stored, the bad ones named with field and reason, and kept among the rejects."""
    async with running() as service:
        answer = await post(service, [GOOD, {"id": 7}])
        assert answer.status_code == 207
        good, bad = answer.json()["results"]
        assert (good["index"], good["status"], good["id"]) == (0, "stored", "a")
        assert (bad["index"], bad["status"], bad["reason"], bad["field"]) == (1, "rejected", "invalid", "id")
        (reject,) = (await service.client.get("/v1/rejects")).json()["records"]
        assert (reject["delivery_key"], reject["payload"]) == (bad["delivery_key"], "eyJpZCI6N30=")


async def test_all_rejected_is_422_with_every_error_of_each() -> None:
    """Nothing was stored, and the problem says all that is wrong with every record."""
    async with running() as service:
        answer = await post(service, [{"id": 7}, 3])
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        problem = answer.json()
        assert (problem["code"], problem["rejected"]) == ("rejected", 2)
        assert [error["name"] for error in problem["errors"]] == ["[0].id", "[0].timestamp", "[1]"]
        assert [error["message"] for error in problem["errors"]][1] == "Object missing required field `timestamp`"
        assert await stored(service) == []


async def test_a_record_with_several_errors_has_each_beside_the_stored_ones() -> None:
    """Three wrong fields are three errors, in the answer and in the reject's detail."""
    async with running() as service:
        answer = await post(service, [GOOD, {"id": 7, "timestamp": "noon", "more": 1}])
        (_, rejected) = answer.json()["results"]
        assert (answer.status_code, rejected["field"]) == (207, "id")
        assert [error["name"] for error in rejected["errors"]] == ["id", "timestamp", "more"]
        (row,) = (await service.client.get("/v1/rejects")).json()["records"]
        assert (row["field"], row["detail"]) == ("id", rejected["detail"])
        assert all(error["message"] in row["detail"] for error in rejected["errors"])


async def test_a_repeated_request_with_its_key_stores_nothing_twice() -> None:
    """The second answer is the first one's, rejects included."""
    async with running() as service:
        first = await post(service, [GOOD, {"id": 7}], idempotency_key="k1")
        second = await post(service, [GOOD, {"id": 7}], idempotency_key="k1")
        assert second.json() == first.json()
        assert second.status_code == first.status_code == 207
        assert len(await stored(service)) == 1
        assert len((await service.client.get("/v1/rejects")).json()["records"]) == 1


@pytest.mark.parametrize("again", [GOOD, OTHER], ids=["the same body", "another body"])
async def test_the_key_outlives_the_instances_memory(again: dict[str, str]) -> None:
    """Readers see a copy stored by another instance once; another body under the key is another delivery, and seen."""
    forgetful = SETTINGS.replace(dedupe_max_messages=1)
    async with running(forgetful) as service:
        first = await post(service, GOOD, idempotency_key="k1")
        others = [f"c{number}" for number in range(4)]
        for number, other in enumerate(others):
            await post(service, {**GOOD, "id": other}, idempotency_key=f"other{number}")
        second = await post(service, again, idempotency_key="k1")
        assert second.status_code == 201
        assert (second.json() == first.json()) is (again == GOOD)
        expected = ["a", *others] if again == GOOD else ["a", *others, "b"]
        assert [record["id"] for record in await stored(service)] == expected


@pytest.mark.parametrize(
    ("first", "then", "headers", "status"),
    [(GOOD, OTHER, {}, 201), (LINES, LINES, {"content_type": "application/x-ndjson"}, 422)],
    ids=["another body", "another content type"],
)
async def test_the_key_with_another_request_is_422(first: Any, then: Any, headers: dict[str, str], status: int) -> None:
    """A key belongs to one request: a corrected header is not answered with the old rejection."""
    async with running() as service:
        assert (await post(service, first, idempotency_key="k1")).status_code == status
        answer = await post(service, then, idempotency_key="k1", **headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")


async def test_what_is_remembered_of_a_request_holds_none_of_its_bytes() -> None:
    """A large body under a key of its own does not stay in memory."""
    async with running() as service:
        await post(service, b"x" * 1_000_000, idempotency_key="k1")
        memory = service.ingest.pipelines.by_stream["records"]._dedupe._newest
        assert memory.weight == 2
        assert len(msgspec.json.encode([*memory.stored.items()])) < 1_000


async def test_a_thousand_bad_records_are_told_by_the_first_hundred() -> None:
    """The answer stays readable; the rejects hold them all."""
    async with running() as service:
        answer = await post(service, [3] * 1_000)
        assert (answer.json()["rejected"], len(answer.json()["errors"])) == (1_000, 100)


@pytest.mark.parametrize("keys", [[""], ["x" * 256], ["caf\u00e9"], ["k1", "k2"]])
async def test_an_unusable_key_is_400(keys: list[str]) -> None:
    """The problem names the header and shows a good one."""
    async with running() as service:
        answer = await service.client.post(
            "/v1/records",
            content=msgspec.json.encode(GOOD),
            headers=[(b"idempotency-key", key.encode("latin-1")) for key in keys],
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
        assert answer.json()["errors"][0]["name"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [(QuotaExceeded("rows"), 429, "busy"), (SetupError(SinkState.NOT_FOUND, "table"), 503, "unavailable")],
)
async def test_what_is_not_durable_is_not_201(reply: QuotaExceeded | SetupError, status: int, code: str) -> None:
    """The caller is told to come again, and when."""

    def wrap(table: Table, appender: Appender) -> Appender:
        return ScriptedAppender(reply) if table.name == RECORDS else appender

    async with running(SETTINGS, FakeClock(), wrap) as service:
        answer = await post(service, GOOD)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert int(answer.headers["Retry-After"]) == answer.json()["retry_after_s"] >= 10


async def test_requests_share_the_in_flight_limit_with_pushes() -> None:
    """One limit guards the instance, whoever comes."""
    answer_from_store = reply_later()

    def wrap(table: Table, appender: Appender) -> Appender:
        return ScriptedAppender(answer_from_store) if table.name == RECORDS else appender

    one = SETTINGS.replace(max_in_flight_bytes=1)
    async with running(one, FakeClock(), wrap) as service:
        first = asyncio.ensure_future(service.push(GOOD))
        await turns()
        assert (await post(service, GOOD)).status_code == 429
        answer_from_store.set_result(Stored())
        assert (await first).status_code == 204
