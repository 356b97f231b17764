"""What Pub/Sub is told: one test for each row of the acknowledgement table, those that do not end in 204.

The other rows are in test_acknowledgements.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from app.stores.sink import QuotaExceeded, RowError, RowsRefused, SetupError, SinkState, Stored, Uncertain
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, authorization, envelope
from tests.ingest.scripted import reply_later, turns
from tests.ingest.sinks import scripted, status_and_code


async def test_uncertain_append_is_sent_again_and_503_when_the_budget_is_spent() -> None:
    """An append without a clear answer is repeated until the request's budget is gone; then Pub/Sub is to try."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies.extend([Uncertain("stream ended")] * 500)
        pushing = asyncio.ensure_future(service.push(GOOD))
        await clock.advance(SETTINGS.ingest.request_budget_s - 1)
        assert not pushing.done()
        assert len(sinks.records.batches) > 3
        await clock.advance(2)
        assert status_and_code(await pushing) == (503, "unavailable")
        assert SETTINGS.ingest.request_budget_s < SETTINGS.ingest.ack_deadline_s


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
        await clock.advance(SETTINGS.store.append_deadline_s + 1)
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


@pytest.mark.parametrize("reply", [SetupError(SinkState.PERMISSION_DENIED, "no"), QuotaExceeded("no")])
async def test_rejects_that_cannot_be_stored_are_503_and_nothing_is_acknowledged(
    reply: SetupError | QuotaExceeded,
) -> None:
    """A message whose rejection is not durable is not acknowledged, and its next delivery is tried anew."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.rejects.replies.append(reply)
        assert status_and_code(await service.push(GOOD, {"id": 7})) == (503, "unavailable")
        assert sinks.rejects.stored == sinks.records.stored == []
        await clock.advance(31)
        assert (await service.push(GOOD, {"id": 7})).status_code == 204
        assert (len(sinks.rejects.stored), len(sinks.records.stored)) == (1, 1)


@pytest.mark.parametrize("reply", [SetupError(SinkState.PERMISSION_DENIED, "no"), QuotaExceeded("no")])
async def test_rejects_of_refused_rows_that_cannot_be_stored_are_503(reply: SetupError | QuotaExceeded) -> None:
    """Likewise when it was the store that refused the row."""
    async with scripted() as (service, sinks):
        sinks.records.replies.append(RowsRefused({0: RowError("no")}))
        sinks.rejects.replies.append(reply)
        assert status_and_code(await service.push(GOOD, {**GOOD, "id": "b"})) == (503, "unavailable")


async def test_more_than_the_in_flight_limit_is_429_at_once() -> None:
    """What is beyond the limit is refused without waiting, and taken once there is room again."""
    one = SETTINGS.replace(max_in_flight_bytes=1)
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
    small = SETTINGS.replace(max_body_bytes=1000)

    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    async with scripted(small) as (service, _):
        for content in (b"x" * 1001, undeclared()):
            answer = await service.client.post("/pubsub/push", content=content, headers=authorization())
            assert status_and_code(answer) == (413, "too_large")
            assert answer.json()["max_body_bytes"] == 1000
    assert SETTINGS.server.max_body_bytes == 14 * 1024 * 1024


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"message":{}}', b'{"message":{"data":"%%"}}'])
async def test_what_is_not_a_push_envelope_is_400(body: bytes) -> None:
    """A body that Pub/Sub would not send says what was expected."""
    async with scripted() as (service, sinks):
        answer = await service.client.post("/pubsub/push", content=body, headers=authorization())
        assert status_and_code(answer) == (400, "invalid_envelope")
        assert sinks.records.batches == sinks.rejects.batches == []
