"""The tail over HTTP, in this loop: parameters, headers, limits, and how streams end."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from app.auth.grants import Principal
from app.query.read.reads import Reads
from app.runtime.instants import to_text
from sluice.testing.clock import FakeClock
from tests.contract.application import application, principal, query_application
from tests.contract.service import default_record
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, REJECTS, T0_US, EmbeddedEngine, Store
from tests.encoding import encoded
from tests.sse import Stream, reading, until

PATH = "/v1/records/tail"
HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "vary": "Accept, Authorization",
    "x-accel-buffering": "no",
}


class Running(msgspec.Struct):
    """An application over an embedded store."""

    app: Any
    store: Store
    clock: FakeClock
    reads: Reads
    principals: dict[str, Principal]

    async def put(self, *ids: str, source: str | None = None) -> None:
        """Store records, stamped now."""
        for record_id in ids:
            record = msgspec.structs.replace(default_record(record_id), source=source)
            row = encoded(self.store.appender(RECORDS), record, envelope(f"key-{record_id}"))
            await self.store.put(RECORDS, [(self.clock.now_us(), row)])

    async def ids(self, stream: Stream, count: int) -> list[str]:
        """Wait until a stream has brought so many records; return the ids of all."""
        await until(lambda: len(stream.named("record")) >= count, self.clock)
        return [record["id"] for record in stream.named("record")]

    async def answer(self, path: str = PATH, query: dict[str, str] | None = None) -> Stream:
        """Return an answer that ends by itself."""
        async with reading(self.app, path, query) as stream:
            await until(lambda: stream.is_whole, self.clock)
        return stream


@pytest.fixture
async def running(engine: EmbeddedEngine) -> AsyncIterator[Running]:
    """Give an application of which two tails may be read."""
    clock = FakeClock(T0_US)
    store = await engine.open([RECORDS, REJECTS], clock)
    settings = (await engine.settings([])).replace(max_tails=2, tail_max_s=60)
    principals = dict[str, Principal]()
    query_service = query_application(store.runner, clock, settings)
    yield Running(application(query_service.routes, principals), store, clock, query_service.reads, principals)
    await store.close()


async def test_a_client_goes_on_by_last_event_id_by_cursor_and_by_since(running: Running) -> None:
    """Every one of them leads right behind what was read; the header goes before the others."""
    begin = to_text(running.clock.now_us())
    await running.put("a", "b", "c")
    async with reading(running.app, PATH, {"since": begin, "source.isnull": "true"}) as stream:
        assert await running.ids(stream, 3) == ["a", "b", "c"]
    cursor = stream.events[0].id
    page_cursor = stream.events[1].id
    same = {"source.isnull": "true"}
    for query, headers, expected in (
        ({"since": begin}, {"last-event-id": cursor}, ["b", "c"]),
        ({"since": "-P400D"}, {"last-event-id": cursor}, ["b", "c"]),
        ({"cursor": page_cursor}, {"last-event-id": cursor}, ["b", "c"]),
        ({"cursor": page_cursor}, {}, ["c"]),
        ({"since": begin}, {"last-event-id": ""}, ["a", "b", "c"]),
    ):
        async with reading(running.app, PATH, {**same, **query}, headers) as stream:
            assert await running.ids(stream, len(expected)) == expected
    page = await running.answer("/v1/records", {**same, "cursor": cursor, "fields": "id"})
    assert msgspec.json.decode(page.body)["records"] == [{"id": "b"}, {"id": "c"}]
    resume = page.headers["sluice-resume-cursor"]
    await running.put("d")
    async with reading(running.app, PATH, {**same, "cursor": resume}) as stream:
        assert await running.ids(stream, 1) == ["d"]


async def test_one_tail_more_than_there_may_be_is_refused(running: Running) -> None:
    """Until one of them has gone."""
    async with reading(running.app, PATH) as one, reading(running.app, PATH) as other:
        await until(lambda: bool(one.body and other.body), running.clock)
        refused = await running.answer()
        problem = msgspec.json.decode(refused.body)
        assert (refused.status, problem["code"], problem["max_tails"]) == (429, "busy", 2)
    async with reading(running.app, PATH) as stream:
        await until(lambda: bool(stream.body), running.clock)
        assert stream.status == 200


async def test_filters_hold_and_those_of_the_caller_cannot_be_escaped(running: Running) -> None:
    """Its own and the fixed ones; and another caller's cursor opens nothing."""
    running.principals |= {"a": principal("a", source="a"), "b": principal("b", source="b")}
    await running.put("a1", source="a")
    await running.put("b1", source="b")
    begin = {"since": to_text(T0_US)}
    async with (
        reading(running.app, PATH, begin) as everything,
        reading(running.app, PATH, {**begin, "id.prefix": "a"}, {"authorization": "a"}) as own,
    ):
        assert await running.ids(everything, 2) == ["a1", "b1"]
        assert await running.ids(own, 1) == ["a1"]
        await running.put("a2", source="b")
        await running.put("a3", source="a")
        assert await running.ids(everything, 4) == ["a1", "b1", "a2", "a3"]
        assert await running.ids(own, 2) == ["a1", "a3"]
    cursor = everything.events[0].id
    async with reading(running.app, PATH, {}, {"authorization": "b", "last-event-id": cursor}) as other:
        assert await running.ids(other, 2) == ["b1", "a2"]


async def test_a_json_value_with_line_ends_stays_one_event(running: Running) -> None:
    """The store keeps white space as it came, and a line end would end the event's data. It has a stream's headers."""
    row = encoded(running.store.appender(RECORDS), default_record("a"), envelope("k"))
    await running.store.put(RECORDS, [(running.clock.now_us(), row.replace(b'{"n":1}', b'{\n"n":\r1\r\n}'))])
    async with reading(running.app, PATH, {"since": to_text(T0_US), "fields": "data"}) as stream:
        await until(lambda: bool(stream.named("record")), running.clock)
    assert (stream.status, stream.headers) == (200, HEADERS)
    assert stream.named("record") == [{"data": {"n": 1}}]
