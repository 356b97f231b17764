"""Read server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html says clients do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s


class Event(NamedTuple):
    """An event that reached the client: its name, the JSON of its data, and the last event id by then."""

    name: str
    data: Any
    id: str


class EventSource:
    """Makes events of bytes, however they are cut."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id, self.retry_ms = last_event_id, 0
        self.comments: list[str] = []
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, piece: bytes) -> list[Event]:
        """Take a piece; return the events that are now whole."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        assert not any(b"\r" in line for line in lines), "a line end of its own"
        return [event for line in lines if (event := self._line(line.decode())) is not None]

    def _line(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not name:
                self.comments.append(value)
            elif name == "retry":
                self.retry_ms = int(value)
            else:
                assert name in {"event", "id", "data"}
                assert name not in self._fields, "data of more than one line"
                self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        self.last_event_id = fields.get("id", self.last_event_id)
        if "data" not in fields:
            assert "event" not in fields
            return None
        return Event(fields["event"], msgspec.json.decode(fields["data"]), self.last_event_id)


class Stream:
    """A GET of an application in this loop, whose answer is read while it is sent."""

    def __init__(self, app: Any, path: str, query: Mapping[str, str], headers: Mapping[str, str], method: str) -> None:
        self.status, self.headers = 0, dict[str, str]()
        self.source, self.events = EventSource(headers.get("last-event-id", "")), list[Event]()
        self.body, self.is_whole = b"", False
        self.reads = asyncio.Event()
        """Cleared, the client reads nothing: the sender waits."""
        self.reads.set()
        self._asked, self._gone = False, asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": urlencode(query).encode(),
            "headers": [(b"host", b"localhost"), *((k.encode(), v.encode()) for k, v in headers.items())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        self.handling = asyncio.create_task(app(scope, self._receive, self._send))

    def hang_up(self) -> None:
        self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        if self.headers["content-type"] == "text/event-stream":
            self.events += self.source.feed(message["body"])
        self.is_whole = not message["more_body"]

    def named(self, name: str) -> list[Any]:
        """Return the data of the events of this name."""
        return [event.data for event in self.events if event.name == name]


@asynccontextmanager
async def reading(
    app: Any,
    path: str,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
) -> AsyncIterator[Stream]:
    """Read `path` until the block ends; then the client hangs up."""
    stream = Stream(app, path, query or {}, headers or {}, method)
    try:
        yield stream
    finally:
        stream.hang_up()
        stream.reads.set()
        async with asyncio.timeout(patience_s(60)):
            await stream.handling


async def until(holds: Callable[[], bool], clock: FakeClock, step_s: float = 0.25) -> None:
    """Move the clock on, step by step, until `holds()`: what runs in threads takes time of its own.

    The clock slows down as it goes: on a busy machine, queries would else meet their deadlines by it before they end.
    """
    pause_s = 0.001
    async with asyncio.timeout(patience_s(60)):
        while not holds():
            await clock.advance(step_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.02, 0.1)
