"""What Pub/Sub is told: one test for each row of the acknowledgement table, those that end in 204.

The other rows are in test_refusals.py.
"""

import asyncio
import gzip
from collections.abc import Callable

import msgspec
import pytest

from app.stores.sink import Outcome, RowError, RowsRefused, SetupError, SinkState, Stored
from sluice.testing.service import GOOD, SETTINGS
from tests.ingest.scripted import reply_later, turns
from tests.ingest.sinks import scripted


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
        assert service.app.instance.metrics.duplicate_messages.total() == 1


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
        (gzip.compress(b"[" + b" " * 20_000 + b"]", mtime=0), {"content_encoding": "gzip"}, "too_large", None),
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
    small = SETTINGS.replace(max_record_bytes=1000, max_decompressed_bytes=10_000, max_records_per_message=10)
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
    [lambda bad: bad, lambda bad: bad[:1]],
    ids=["complete list", "incomplete list"],
)
async def test_rows_the_store_refuses_are_rejected_and_the_rest_is_stored(
    listed: Callable[[list[int]], list[int]],
) -> None:
    """Exactly the rows that it names are rejected, durably, and then comes the 204."""

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


@pytest.mark.parametrize("named", [{}, {99: RowError("no")}], ids=["empty list", "useless list"])
async def test_a_message_that_is_refused_without_a_row_being_named_is_503_until_the_table_stores_another(
    named: dict[int, RowError],
) -> None:
    """Then it is 204, once its bytes are durable among the rejects, all of them."""

    def refuses(rows: list[bytes]) -> Outcome:
        return RowsRefused(named) if any(b"poison" in row for row in rows) else Stored()

    async with scripted() as (service, sinks):
        sinks.records.decide = refuses
        message = [{**GOOD, "id": each} for each in ("a", "poison", "b")]
        assert (await service.push(*message)).status_code == 503
        assert (await service.push(GOOD, message_id="another")).status_code == 204
        kept = reply_later()
        sinks.rejects.replies.append(kept)
        pushing = asyncio.ensure_future(service.push(*message))
        await turns(100)
        assert not pushing.done(), "answered before the rejection was durable"
        kept.set_result(Stored())
        assert (await pushing).status_code == 204
        assert [row["message_id"] for row in sinks.records.rows()] == ["another"]
        rejected = [msgspec.json.decode(msgspec.convert(row["payload"], bytes)) for row in sinks.rejects.rows()]
        assert [each["id"] for each in rejected] == ["a", "poison", "b"]
        assert {row["reason"] for row in sinks.rejects.rows()} == {"refused"}
