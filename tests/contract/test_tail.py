"""The tail over HTTP: what settles is sent once and in order, whatever the store."""

from app.runtime.instants import SECOND_US, to_text
from sluice.testing.clock import FakeClock
from tests.contract.service import Service, default_record
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded
from tests.sse import Stream, reading, until

PATH = "/v1/records/tail"
BEGIN = to_text(T0_US)


async def _put(service: Service, *rows: tuple[int, str, str]) -> None:
    appender = service.store.appender(RECORDS)
    stamped = [(T0_US + after_us, encoded(appender, default_record(id_), envelope(key))) for after_us, key, id_ in rows]
    await service.store.put(RECORDS, stamped)


def _ids(stream: Stream) -> list[str]:
    return [record["id"] for record in stream.named("record")]


def test_a_tail_gives_what_was_stored_and_what_settles_each_once(service: Service) -> None:
    """Copies are left out, rows come in the order of their stamps, and a new connection goes on behind the last one."""
    clock = service.store.clock
    assert isinstance(clock, FakeClock)
    settle_us = round(service.engine.settle_s * SECOND_US)

    async def follow() -> None:
        async with reading(service.app, PATH, {"since": BEGIN, "fields": "id"}) as stream:
            await until(lambda: len(stream.named("record")) >= 3, clock)
            later_us = clock.now_us() - T0_US + 60 * SECOND_US
            await _put(
                service, (later_us + 20, "k8", "id8"), (later_us + 10, "k9", "id9"), (later_us + 30, "k1", "copy")
            )
            clock.advance_to(T0_US + later_us + 31 + settle_us)
            await until(lambda: len(stream.named("record")) >= 5, clock)
            assert _ids(stream) == ["id0", "id1", "id2", "id9", "id8"]
            last_event_id = stream.events[3].id
        await _put(service, (later_us + 50 + settle_us, "k10", "id10"))
        clock.advance_to(T0_US + later_us + 51 + 2 * settle_us)
        async with reading(service.app, PATH, {"fields": "id"}, {"last-event-id": last_event_id}) as stream:
            await until(lambda: len(stream.named("record")) >= 2, clock)
            assert _ids(stream) == ["id8", "id10"]

    service.engine.loop.run(follow())
