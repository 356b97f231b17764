"""Which trace work belongs to: a message's own for what is done for it alone, none for what is done for many."""

import logging
from collections.abc import Iterator

import pytest
from opentelemetry import trace

from app.telemetry.tracing import trace_id_of
from sluice.testing.service import authorization, envelope
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
