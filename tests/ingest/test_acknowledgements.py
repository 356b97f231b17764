"""What Pub/Sub is told: one test for each row of the acknowledgement table (DESIGN, "Ingest contract")."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from app.clock import FakeClock
from app.ingest.appender import (
    Appender,
    Outcome,
    QuotaExceeded,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    Uncertain,
)
from app.schema.table import RECORDS, Table
from app.settings import Settings
from tests import tokens
from tests.ingest.scripted import ScriptedAppender, reply_later, turns
from tests.service import GOOD, SETTINGS, Service, authorization, envelope, running


class Sinks(msgspec.Struct):
    """The service's two Appenders, both scripted, and what happened in both, in order."""

    records: ScriptedAppender
    rejects: ScriptedAppender
    actions: list[str]


@asynccontextmanager
async def scripted(
    settings: Settings = SETTINGS, clock: FakeClock | None = None
) -> AsyncIterator[tuple[Service, Sinks]]:
    """Run the service over scripted Appenders."""
    actions: list[str] = []
    sinks = Sinks(
        ScriptedAppender(name="records", actions=actions), ScriptedAppender(name="rejects", actions=actions), actions
    )

    def wrap(table: Table, _: Appender) -> Appender:
        return sinks.records if table.name == RECORDS else sinks.rejects

    async with running(settings, clock or FakeClock(), wrap) as service:
        yield service, sinks


def status_and_code(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the problem's code, "" for none."""
    return answer.status_code, answer.json()["code"] if answer.content else ""


async def test_stored_is_204() -> None:
    """A stored message is acknowledged, with its envelope beside it in the row."""
    async with scripted() as (service, sinks):
        answer = await service.push(GOOD, message_id="42", origin="test")
        assert (answer.status_code, answer.content) == (204, b"")
        (row,) = sinks.records.rows()
        assert row == {
            **GOOD,
            "source": None,
            "data": None,
            "subscription_name": "projects/p/subscriptions/s",
            "message_id": "42",
            "publish_time": "2026-01-31T12:00:00.123000Z",
            "attributes": {"origin": "test"},
            "ordering_key": None,
            "message_index": 0,
            "delivery_key": "42:1769860800123000:0",
            "trace_id": None,
        }


async def test_the_append_is_acknowledged_before_the_204() -> None:
    """The answer is sent only after the store has said that the rows are durable."""
    async with scripted() as (service, sinks):
        answer_from_store = reply_later()
        sinks.records.replies.append(answer_from_store)
        pushing = asyncio.ensure_future(service.push(GOOD))
        pushing.add_done_callback(lambda done: sinks.actions.append(f"answered {done.result().status_code}"))
        await turns()
        assert sinks.actions == ["append 1 to records"]
        answer_from_store.set_result(Stored())
        await pushing
        await turns()
        assert sinks.actions == ["append 1 to records", "Stored from records", "answered 204"]


async def test_known_duplicate_is_204_without_another_append() -> None:
    """A copy of a stored message is acknowledged and counted, and nothing is appended for it."""
    async with scripted() as (service, sinks):
        await service.push(GOOD)
        answer = await service.push(GOOD)
        assert answer.status_code == 204
        assert len(sinks.records.stored) == 1
        assert (await service.client.get("/health/ready")).json()["counters"]["duplicate_messages"] == 1


@pytest.mark.parametrize(
    ("reply", "status"), [(Stored(), 204), (SetupError(SinkState.NOT_FOUND, "no table"), 503)], ids=["stored", "not"]
)
async def test_duplicate_of_a_message_in_flight_is_answered_as_that_copy(
    reply: Stored | SetupError, status: int
) -> None:
    """A copy that comes while the first is being stored waits for it and shares its answer."""
    async with scripted() as (service, sinks):
        answer_from_store = reply_later()
        sinks.records.replies.append(answer_from_store)
        first = asyncio.ensure_future(service.push(GOOD))
        await turns()
        second = asyncio.ensure_future(service.push(GOOD))
        await turns()
        assert not second.done()
        answer_from_store.set_result(reply)
        assert ((await first).status_code, (await second).status_code) == (status, status)
        assert len(sinks.records.batches) == 1


@pytest.mark.parametrize(
    ("data", "attributes", "reason", "field"),
    [
        (b"{not json", {}, "malformed", None),
        (b'{"id": 7, "timestamp": "2026-01-31T12:00:00Z"}', {}, "invalid", "id"),
        (b'{"id": "", "timestamp": "2026-01-31T12:00:00Z"}', {}, "invalid", "id"),
        (b'{"id": "a", "timestamp": "2026-01-31T12:00:00"}', {}, "invalid", "timestamp"),
        (b'{"id": "a"}', {}, "invalid", "timestamp"),
        (b'{"id": "a", "timestamp": "2026-01-31T12:00:00Z", "extra": 1}', {}, "invalid", "extra"),
        (b'{"id": "a", "data": "' + b"x" * 2000 + b'"}', {}, "too_large", None),
        (gzip.compress(b"[" + b" " * 20_000 + b"]"), {"content_encoding": "gzip"}, "too_large", None),
        (b"not gzip", {"content_encoding": "gzip"}, "bad_encoding", None),
        (b"{}", {"content_encoding": "br"}, "bad_encoding", None),
        (b"[" + b",".join([b"{}"] * 11) + b"]", {}, "too_many_records", None),
        (b"", {}, "empty", None),
    ],
)
async def test_bad_record_is_204_once_its_rejection_is_durable(
    data: bytes, attributes: dict[str, str], reason: str, field: str | None
) -> None:
    """What can never be stored is kept with the reason, the field and its bytes, and then acknowledged."""
    small = msgspec.structs.replace(
        SETTINGS, max_record_bytes=1000, max_decompressed_bytes=10_000, max_records_per_message=10
    )
    async with scripted(small) as (service, sinks):
        kept = reply_later()
        sinks.rejects.replies.append(kept)
        pushing = asyncio.ensure_future(service.push_bytes(data, **attributes))
        await turns()
        assert not pushing.done(), "answered before the rejection was durable"
        kept.set_result(Stored())
        assert (await pushing).status_code == 204
        (row,) = sinks.rejects.rows()
        assert (row["reason"], row["field"]) == (reason, field)
        assert msgspec.convert(row["payload"], bytes) == data
        assert sinks.records.batches == []


async def test_other_records_of_the_message_are_stored() -> None:
    """One bad record of a message takes none of the good ones with it."""
    async with scripted() as (service, sinks):
        answer = await service.push(GOOD, {"id": 7}, {**GOOD, "id": "c"})
        assert answer.status_code == 204
        assert [(row["id"], row["message_index"]) for row in sinks.records.rows()] == [("a", 0), ("c", 2)]
        (reject,) = sinks.rejects.rows()
        assert (reject["message_index"], msgspec.convert(reject["payload"], bytes)) == (1, b'{"id":7}')


@pytest.mark.parametrize(
    "listed",
    [lambda bad: bad, lambda bad: bad[:1], lambda _: [99], lambda _: []],
    ids=["complete list", "incomplete list", "useless list", "empty list"],
)
async def test_rows_the_store_refuses_are_rejected_and_the_rest_is_stored(
    listed: Callable[[list[int]], list[int]],
) -> None:
    """Whatever list the store gives, exactly the bad rows are rejected, durably, and then comes the 204."""

    def refuses(rows: list[bytes]) -> Outcome:
        bad = [position for position, row in enumerate(rows) if b"poison" in row]
        return RowsRefused({position: RowError("no") for position in listed(bad)}) if bad else Stored()

    async with scripted() as (service, sinks):
        sinks.records.decide = refuses
        kept = reply_later()
        sinks.rejects.replies.append(kept)
        ids = ["a", "poison-1", "b", "c", "poison-2", "d"]
        pushing = asyncio.ensure_future(service.push(*({**GOOD, "id": each} for each in ids)))
        await turns(100)
        assert not pushing.done(), "answered before the rejection was durable"
        kept.set_result(Stored())
        assert (await pushing).status_code == 204
        assert sorted(row["id"] for row in sinks.records.rows()) == ["a", "b", "c", "d"]
        rejected = [msgspec.json.decode(msgspec.convert(row["payload"], bytes))["id"] for row in sinks.rejects.rows()]
        assert sorted(rejected) == ["poison-1", "poison-2"]
        assert {row["reason"] for row in sinks.rejects.rows()} == {"refused"}


async def test_uncertain_append_is_sent_again_and_503_when_the_budget_is_spent() -> None:
    """An append without a clear answer is repeated until the request's budget is gone; then Pub/Sub is to try."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies.extend([Uncertain("stream ended")] * 500)
        pushing = asyncio.ensure_future(service.push(GOOD))
        await clock.advance(SETTINGS.request_budget_s - 1)
        assert not pushing.done()
        assert len(sinks.records.batches) > 3
        await clock.advance(2)
        assert status_and_code(await pushing) == (503, "unavailable")
        assert SETTINGS.request_budget_s < SETTINGS.ack_deadline_s


async def test_uncertain_append_that_succeeds_later_is_204() -> None:
    """The same rows are sent again, and the message is acknowledged when they are stored."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies.extend([Uncertain("unavailable"), Uncertain("unavailable")])
        pushing = asyncio.ensure_future(service.push(GOOD))
        await clock.advance(5)
        assert (await pushing).status_code == 204
        assert sinks.records.batches[0] == sinks.records.batches[1] == sinks.records.batches[2]


async def test_append_that_never_answers_is_given_up_at_its_deadline_and_sent_again() -> None:
    """One attempt may take only so long."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies.append(reply_later())
        pushing = asyncio.ensure_future(service.push(GOOD))
        await clock.advance(SETTINGS.append_deadline_s + 1)
        assert (await pushing).status_code == 204
        assert len(sinks.records.batches) == 2


async def test_exhausted_quota_is_429_and_leaves_the_store_alone() -> None:
    """The store is not asked again until its quota may have recovered; Pub/Sub is told to slow down."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies.append(QuotaExceeded("rows per second"))
        answer = await service.push(GOOD)
        assert status_and_code(answer) == (429, "busy")
        assert answer.headers["Retry-After"] == "10"
        assert (await service.push(GOOD, message_id="2")).status_code == 429
        assert len(sinks.records.batches) == 1
        await clock.advance(11)
        assert (await service.push(GOOD, message_id="3")).status_code == 204


@pytest.mark.parametrize("state", [SinkState.NOT_FOUND, SinkState.PERMISSION_DENIED, SinkState.SCHEMA_MISMATCH])
async def test_set_up_error_is_503_with_a_named_state_and_backs_off_from_30_s(state: SinkState) -> None:
    """What somebody must repair has a name in the health report, and is tried again by and by."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies.append(SetupError(state, "what the store said"))
        answer = await service.push(GOOD)
        assert status_and_code(answer) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "30"
        health = await service.client.get("/health/ready")
        assert health.status_code == 200
        assert health.json()["sinks"]["records"]["state"] == state.value
        await clock.advance(29)
        assert (await service.push(GOOD, message_id="2")).status_code == 503
        assert len(sinks.records.batches) == 1
        await clock.advance(2)
        assert (await service.push(GOOD, message_id="3")).status_code == 204
        assert (await service.client.get("/health/ready")).json()["sinks"]["records"]["state"] == "ACTIVE"


async def test_rejects_that_cannot_be_stored_are_503_and_nothing_is_acknowledged() -> None:
    """A message whose rejection is not durable is not acknowledged, and not remembered as stored."""
    async with scripted() as (service, sinks):
        sinks.rejects.replies.append(SetupError(SinkState.PERMISSION_DENIED, "no"))
        assert status_and_code(await service.push(GOOD, {"id": 7})) == (503, "unavailable")
        assert sinks.rejects.stored == []


async def test_rejects_of_refused_rows_that_cannot_be_stored_are_503() -> None:
    """Likewise when it was the store that refused the row."""
    async with scripted() as (service, sinks):
        sinks.records.replies.append(RowsRefused({0: RowError("no")}))
        sinks.rejects.replies.append(QuotaExceeded("no"))
        assert status_and_code(await service.push(GOOD, {**GOOD, "id": "b"})) == (429, "busy")


async def test_more_than_the_in_flight_limit_is_429_at_once() -> None:
    """What is beyond the limit is refused without waiting, and taken once there is room again."""
    one = msgspec.structs.replace(SETTINGS, max_in_flight_messages=1)
    async with scripted(one) as (service, sinks):
        answer_from_store = reply_later()
        sinks.records.replies.append(answer_from_store)
        first = asyncio.ensure_future(service.push(GOOD))
        await turns()
        refused = await service.push(GOOD, message_id="2")
        assert status_and_code(refused) == (429, "busy")
        assert refused.headers["Retry-After"] == "1"
        answer_from_store.set_result(Stored())
        assert (await first).status_code == 204
        assert (await service.push(GOOD, message_id="2")).status_code == 204


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, "missing_token")),
        ({"Authorization": "Bearer not.a.token"}, (401, "invalid_token")),
        (authorization(email="someone@else.example"), (403, "forbidden")),
    ],
    ids=["none", "bad", "foreign"],
)
async def test_without_a_good_token_the_body_is_not_even_parsed(
    headers: dict[str, str], expected: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No, bad and foreign tokens are answered before a byte of the body is looked at."""
    looked: Callable[..., None] = lambda *_: pytest.fail("the body was parsed")  # noqa: E731 - a stand-in
    monkeypatch.setattr("app.ingest.push.open_push", looked)
    async with scripted() as (service, sinks):
        answer = await service.client.post("/pubsub/push", content=envelope(b"{}"), headers=headers)
        assert status_and_code(answer) == expected
        assert sinks.records.batches == sinks.rejects.batches == []


async def test_body_beyond_any_pubsub_message_is_413() -> None:
    """A body above the limit is refused, whether its length is declared or not."""
    small = msgspec.structs.replace(SETTINGS, max_body_bytes=1000)

    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    async with scripted(small) as (service, _):
        for content in (b"x" * 1001, undeclared()):
            answer = await service.client.post("/pubsub/push", content=content, headers=authorization())
            assert status_and_code(answer) == (413, "too_large")
            assert answer.json()["max_body_bytes"] == 1000
    assert SETTINGS.max_body_bytes == 14 * 1024 * 1024


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"message":{}}', b'{"message":{"data":"%%"}}'])
async def test_what_is_not_a_push_envelope_is_400(body: bytes) -> None:
    """A body that Pub/Sub would not send says what was expected."""
    async with scripted() as (service, sinks):
        answer = await service.client.post("/pubsub/push", content=body, headers=authorization())
        assert status_and_code(answer) == (400, "invalid_envelope")
        assert sinks.records.batches == sinks.rejects.batches == []


def test_the_tokens_of_these_tests_are_good() -> None:
    """The helpers' defaults describe an accepted push, so that each refusal above has one cause."""
    assert tokens.claims()["email"] in SETTINGS.push_principals
