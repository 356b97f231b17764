"""Which trace work belongs to: a message's own for what is done for it alone, none for what is done for many."""

import asyncio
import logging
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry import trace

from app.stores.sink import Outcome, RowError, RowsRefused, SetupError, SinkState, Stored
from app.telemetry.tracing import trace_id_of
from sluice.testing.clock import FakeClock
from sluice.testing.service import authorization, envelope
from tests.ingest.scripted import ScriptedAppender
from tests.ingest.sinks import scripted
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.watched_service import EXPORTING, Publisher, caller, traced

pytestmark = EXPORTING


class Spoken(logging.Handler):
    """Notes what is logged, and the trace that was current: its id, or None."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take note."""
        self.lines.append((record.getMessage(), current()))

    def traces_of(self, words: str) -> list[str | None]:
        """Return the traces of the lines that contain `words`."""
        return [found for line, found in self.lines if words in line]


def current() -> str | None:
    """Return the id of the trace that is current, where one is recorded."""
    span = trace.get_current_span()
    return trace_id_of(span) if span.is_recording() else None


@pytest.fixture
def spoken() -> Iterator[Spoken]:
    """Listen to the service's log."""
    handler, logger = Spoken(), logging.getLogger("sluice")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def body(data: bytes, sender: Publisher, message_id: str = "1") -> bytes:
    """Return the body of a push."""
    return envelope(data, message_id, sender.attributes)


GOOD = b'{"id": "a", "timestamp": "2026-01-31T12:00:00Z"}'


async def test_what_is_logged_for_one_message_is_in_its_trace(cloud: CloudServer, spoken: Spoken) -> None:
    """Nothing of the next one's is, and nothing when no message is worked on."""
    first, second = caller(), caller()
    async with scripted(traced(cloud.url)) as (service, _):
        for number, sender in enumerate((first, second)):
            content = body(b"no json", sender, str(number))
            answer = await service.client.post("/pubsub/push", content=content, headers=authorization())
            assert answer.status_code == 204
        assert current() is None
    assert spoken.traces_of("rejected 1 of the records of message") == [first.trace_id, second.trace_id]


async def test_the_writer_works_in_no_messages_trace(cloud: CloudServer, spoken: Spoken) -> None:
    """An append is for all its messages, and what it says of the table is not about the one that began it."""
    seen: list[str | None] = []
    async with scripted(traced(cloud.url)) as (service, sinks):

        def decide(_: Sequence[bytes]) -> Outcome:
            seen.append(current())
            return SetupError(SinkState.UNREACHABLE, "no table") if len(seen) == 1 else Stored()

        sinks.records.decide = decide
        content = body(GOOD, caller())
        assert (await service.client.post("/pubsub/push", content=content, headers=authorization())).status_code == 503
        assert isinstance(service.clock, FakeClock)
        await service.clock.advance(60)
        assert (await service.client.post("/pubsub/push", content=content, headers=authorization())).status_code == 204
    assert seen == [None, None]
    assert spoken.lines
    assert {found for _, found in spoken.lines} == {None}
    assert len([span for span in cloud.spans if span.name == "append records"]) == 2


async def test_a_refused_row_is_rejected_in_its_messages_trace(cloud: CloudServer) -> None:
    """Its way into the table of rejects is linked to the message that it came in, not to its neighbours."""
    bad, good = caller(), caller()

    async with scripted(traced(cloud.url)) as (service, sinks):
        sinks.records.replies = [RowsRefused({0: RowError("too long", "id")}), Stored()]
        pushes = (
            service.client.post("/pubsub/push", content=body(GOOD, sender, str(n)), headers=authorization())
            for n, sender in enumerate((bad, good))
        )
        assert [answer.status_code for answer in await asyncio.gather(*pushes)] == [204, 204]
        assert isinstance(sinks.rejects, ScriptedAppender)
        assert len(sinks.rejects.stored) == 1
    rejected = cloud.span("append records_rejected")
    assert rejected.trace_id == bad.trace_id
    assert [trace_id for trace_id, _ in rejected.links] == [bad.trace_id]
    first, second = (span for span in cloud.spans if span.name == "append records")
    assert [trace_id for trace_id, _ in first.links] == [bad.trace_id, good.trace_id]
    assert [trace_id for trace_id, _ in second.links] == [good.trace_id]
