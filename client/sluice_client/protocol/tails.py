"""The tail: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), and reconnecting."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from sluice_client.protocol.effects import Broken, Emit, Pause, Read, Steps
from sluice_client.protocol.problems import problem_of
from sluice_client.protocol.requests import Feed, Range, tail_request
from sluice_client.protocol.retry import Attempts, RetryPolicy, open_stream


class TailRecord(msgspec.Struct, frozen=True):
    """A record, and the cursor that continues right after it, here and in `follow`."""

    record: dict[str, Any]
    cursor: str


class Event(msgspec.Struct, frozen=True):
    """An event as the stream has it; `id` is the last one that the stream named so far."""

    name: str
    data: str
    id: str


class EventParser:
    """Events out of chunks of bytes, wherever they are cut."""

    def __init__(self) -> None:
        """Begin with an empty stream."""
        self.last_id = ""
        self.retry_s = 2.0
        self._rest = b""
        self._name = ""
        self._id = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode(errors="replace"))
            if event is not None:
                yield event

    def restart(self) -> None:
        """Forget the event that a broken connection left incomplete."""
        self._rest, self._name, self._id, self._data = b"", "", self.last_id, []

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isdecimal():
                self.retry_s = int(value) / 1_000
            case _:  # a comment, or a field of a later standard
                pass
        return None

    def _dispatch(self) -> Event | None:
        self.last_id = self._id  # also of a comment with an id: the stream has advanced without records
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return Event(name, "\n".join(data), self.last_id) if data else None


def tail(feed: Feed, where: Range, policy: RetryPolicy, *, fields: Sequence[str] = ()) -> Steps[TailRecord, None]:
    """Emit records as they become final, without end; a connection that ends is opened again after its last event.

    Raises:
        ProblemError, UnreachableError: as `open_stream`.
    """
    parser, attempts = EventParser(), Attempts(policy)
    while True:
        yield from open_stream(tail_request(feed, where, fields=fields, last_event_id=parser.last_id), attempts)
        failure: Broken | None = None
        parser.restart()
        while failure is None:
            chunk: bytes | Broken | None = yield Read()
            if not isinstance(chunk, bytes):
                failure = chunk or Broken("")
                break
            for event in parser.feed(chunk):
                if event.name == "record":
                    attempts.succeed()
                    yield Emit(TailRecord(msgspec.json.decode(event.data), event.id))
                elif event.name == "end":
                    attempts.succeed()
                    failure = Broken("")
                elif event.name == "error":
                    failure = Broken(problem_of(503, event.data.encode()).text)
        pause = attempts.fail(failure) if failure.reason else Pause(parser.retry_s)
        yield Pause(max(pause.seconds, parser.retry_s), pause.reason)
