"""The route `/v1/records/tail`: new records, as they settle, over one connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
from litestar import Response

from app.auth.limits import context_of_the_payer
from app.auth.read_slots import release_slot
from app.http.contract import Answer, Contract, media
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import ProblemError
from app.http.reading import VARY
from app.query.answer.cache import AnswerCache, CachedAnswer
from app.query.answer.contract import headers_of
from app.query.answer.encoders import RECORD, ending, event, events_of, failure, opening, ping
from app.query.parts import StreamParts, TableParts
from app.query.read.feed import Budget, Feed
from app.query.read.reads import SendPiece, Stream, StreamedResponse, problem_of
from app.query.readers import READER, READER_PARAMETER
from app.query.request.cursor import position_in, resume_cursor
from app.query.request.filters import in_order
from app.query.request.parameters import LAST_EVENT_ID, LAST_EVENT_ID_PARAMETER, MAX_LIMIT, TAIL_PARAMETERS
from app.query.request.scan import Scan, parse_tail, tail_scan
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within
from app.runtime.instants import DAY_US, SECOND_US, epoch_us
from app.runtime.single_flight import SingleFlight
from app.schema.record_json import example_row
from app.schema.table import Table
from app.settings.fields import MIB
from app.stores.query import Position
from app.stores.source import QueryError

_log = logging.getLogger("sluice.query")
PING_S = 15.0
"""The maximum silence of a stream."""
_SILENT_US = round(PING_S * MICROSECONDS)
EVENTS = "text/event-stream"
# Without X-Accel-Buffering some proxies buffer a response
# (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
_HEADERS = {"Cache-Control": "no-store", "Vary": VARY, "X-Accel-Buffering": "no"}
_PROBLEMS = {
    400: "A parameter, the cursor or `Last-Event-ID` is not valid.",
    429: "Too many tails are open.",
    503: "The instance is shutting down; another one will answer.",
}
_TEXT = """\
Streams records that are stored from now on (or since an earlier moment), each once and in order, as server-sent \
events, for a browser's `EventSource` or any client that reads lines. (`EventSource` sends no `Authorization`: if a \
token is required, a page reads the stream with `fetch`.)

- `record` is one record, as JSON. Its `id` is a cursor: sent as `Last-Event-ID` or as `cursor`, it continues right \
behind that record, here or in `/v1/records`. Browsers do so when a connection breaks.
- `end` is the last event of a stream that the service ends: `{{"reason": "time"}}` after {limits.tail_max_s:g} \
seconds (set by `SLUICE_TAIL_MAX_S`) or `{{"reason": "stopping"}}`. Reconnect to continue. A revoked grant stays in \
force until then.
- `error` is the last event if the store fails; its data is a problem document, and `retry` says when to reconnect.

A comment is sent at least every {ping_s:g} seconds, with an `id` if the stream has advanced without records. A record \
is sent as soon as its position in the order is final."""


BATCH_BYTES = MIB // 2
"""The approximate size limit for the rows of one page; a single record may be larger."""
MOST_READS = 4
"""How many reads run at once: after a restart all tails catch up, while other callers read pages."""
_KEPT_S = 10.0  # for tails that are slightly behind


class TailBatches:
    """Reads one feed forward, as far as it is settled, for all tails of its table.

    The horizon is looked at once in a poll, so tails that have caught up are at the same position and share what
    follows.
    """

    def __init__(self, feed: Feed, cache: AnswerCache, turn: asyncio.Semaphore) -> None:
        self.feed, self._cache, self._turn = feed, cache, turn
        self._clock, self._limits = feed.environment.clock, feed.environment.settings.query
        self._looks = SingleFlight[str, None]()
        self._horizon_us, self._looked_us = 0, -(1 << 62)
        self._version: int | None = None

    async def after(self, scan: Scan, cursor: str) -> CachedAnswer:
        """Return the events behind `cursor` that `scan` asks for, once there may be some, and the next cursor.

        Raises:
            QueryError: the store gave no answer.
        """
        begins = position_in(cursor, table=scan.table, fingerprint=scan.fingerprint)
        # Work for all tails outlives the first one's request and trace, so its context knows only who pays.
        while begins.ingest_us >= self._horizon_us:
            await self._looks.run("", self._look, context_of_the_payer())
        longest_us = self._limits.max_window_days * DAY_US
        scan = tail_scan(scan, begins, self._horizon_us, longest_us)
        parts = ("tail", repr(scan.columns), repr(scan.conditions), cursor)
        answer, _ = await self._cache.shared(parts, _KEPT_S, lambda: self._read(scan), context_of_the_payer())
        return answer

    def reached_us(self, scan: Scan, cursor: str) -> int:
        """Return the instant up to which a tail at `cursor` has everything: the horizon, if nothing new lies before it.

        A store that knows its version is not read, and cursors do not move, while it has no new rows.
        """
        reached_us = position_in(cursor, table=scan.table, fingerprint=scan.fingerprint).ingest_us
        horizon_us = self.feed.horizon_us()  # before the version: a row in between changes it
        is_newest = self._version is not None and self._version == self.feed.version()
        return max(reached_us, horizon_us) if is_newest and reached_us >= self._horizon_us else reached_us

    def start(self, begins: Position) -> Position:
        """Return where a tail that is to begin at `begins` may begin: at an earlier horizon if nothing is in between.

        So the tails that were opened since the last row share what they read.
        """
        if self.feed.version() is not None:
            self._move_horizon()
            if self._horizon_us <= begins.ingest_us <= self.feed.horizon_us():
                return Position(self._horizon_us, "")
        return begins

    async def _look(self) -> None:
        """Move the horizon, a poll after the last time, and once there may be new rows."""
        passed_us = self._horizon_us
        while self._horizon_us == passed_us:
            due_us = self._looked_us + round(self.feed.runner.profile.poll_s * MICROSECONDS)
            if (left_us := due_us - self._clock.elapsed_us()) > 0:
                await self._clock.sleep(left_us / MICROSECONDS)
            self._looked_us = self._clock.elapsed_us()
            await self.feed.learn_horizon()
            self._move_horizon()

    def _move_horizon(self) -> None:
        """Move the horizon unless the store knows that it has no rows behind it."""
        version = self.feed.version()  # before the horizon: every row that it counts lies before the horizon
        if version is None or version != self._version:
            self._version, self._horizon_us = version, self.feed.horizon_us()

    async def _read(self, scan: Scan) -> CachedAnswer:
        scan = msgspec.structs.replace(scan, limit=MAX_LIMIT)
        async with self._turn:
            page = await self.feed.page(scan, Budget(self.feed.environment, BATCH_BYTES))
        return CachedAnswer("json", {"Sluice-Resume-Cursor": page.resume_cursor}, events_of(page), bool(page.rows))


_UNEXPECTED = ProblemError("internal", "the stream ended because of an internal error; reconnect")


class TailEndpoint:
    """Streams the tail of one table.

    Permission is checked once, when the stream begins. A revoked grant holds until the stream ends, at most
    `tail_max_s` later. A client that reads nothing receives nothing, and is ended by the kernel (app.settings.server).
    """

    def __init__(self, parts: TableParts) -> None:
        self._feed, self.subject, self._reads, self._slots = parts.feed, parts.subject, parts.reads, parts.tail_slots
        self.table, self._environment, self._readers = parts.feed.table, parts.feed.environment, parts.readers
        self._batches = TailBatches(parts.feed, parts.cache, parts.tail_turn)

    async def stream(self, request: Ask) -> Response[bytes]:
        """Return the stream that `request` asks for.

        Raises:
            ProblemError: a parameter or a cursor is not valid, or there are too many streams.
        """
        query = request.scope["query_string"].decode("latin-1")
        note = self._readers.named_in(request, self.table.name)
        scan = parse_tail(query, request.headers.get(LAST_EVENT_ID), self.subject, self._feed.now())
        conditions = self.subject.restricted(scan.conditions, request.state.principal)
        self._reads.check_open()
        if request.method == "HEAD":
            return StreamedResponse(_HEADERS, EVENTS, None)
        release_slot(request.scope)  # tails have a limit of their own
        begins = scan.after or self._batches.start(Position(scan.window.from_us, ""))
        scan = msgspec.structs.replace(
            scan, conditions=in_order({repr(each): each for each in conditions}.values()), after=begins
        )
        caller: str = request.state.principal.name
        await self._slots.take(caller)
        max_s = self._environment.settings.query.tail_max_s
        tail = Tail(scan, self._batches.after, self._environment.clock, max_s, self._reads.stopping)

        async def run(send: SendPiece) -> None:
            async def send_noting(piece: bytes) -> None:
                await send(piece)
                note(self._batches.reached_us(scan, tail.reached))

            await tail.run(send_noting)

        async def close() -> None:
            self._slots.give_back(caller)

        stream = Stream(reads=self._reads, send_pieces=run, close=close)
        return StreamedResponse(_HEADERS, EVENTS, stream)


class Tail:
    """Follows a feed for `max_s`, or until `stopping`: all up to the cursor `reached` was sent, nothing after it."""

    def __init__(
        self,
        scan: Scan,
        read: Callable[[Scan, str], Awaitable[CachedAnswer]],
        clock: Clock,
        max_s: float,
        stopping: asyncio.Event,
    ) -> None:
        start = scan.after or Position(scan.window.from_us, "")
        self.reached = resume_cursor(scan.table, start, scan.fingerprint)
        self._scan, self._read, self._clock, self._stopping = scan, read, clock, stopping
        self._ends_us = clock.elapsed_us() + round(max_s * MICROSECONDS)

    async def run(self, send: SendPiece) -> None:
        """Send the stream, each piece as soon as there is one, until its time is over or the store fails."""
        await send(opening(self.reached))
        await send(await self._follow(send))

    async def _follow(self, send: SendPiece) -> bytes:
        """Send pages and pings; return the last event."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        reading: asyncio.Future[CachedAnswer] | None = None
        stated, silent_until_us = self.reached, self._clock.elapsed_us() + _SILENT_US
        try:
            while (now_us := self._clock.elapsed_us()) < self._ends_us and not self._stopping.is_set():
                reading = reading or asyncio.ensure_future(self._read(self._scan, self.reached))
                if (left_us := min(silent_until_us, self._ends_us) - now_us) > 0:
                    await first_within(self._clock, left_us / MICROSECONDS, reading, stopping)
                piece = b""
                if reading.done():
                    batch, reading = reading.result(), None
                    piece, self.reached = batch.body, batch.headers["Sluice-Resume-Cursor"]
                    del batch  # a client that reads slowly holds one piece
                elif self._clock.elapsed_us() >= silent_until_us:
                    piece = ping(self.reached if self.reached != stated else None)
                    stated = self.reached
                if piece:
                    await send(piece)
                    silent_until_us = self._clock.elapsed_us() + _SILENT_US
            return ending(self.reached, "stopping" if self._stopping.is_set() else "time")
        except QueryError as error:
            _log.warning("a tail query failed: %s", error)
            return failure(self.reached, problem_of(error))
        except ProblemError as problem:
            return failure(self.reached, problem)
        except Exception as error:  # a defect: the client is told that there is nothing more
            _log.error("unexpected failure of a tail", exc_info=error)
            return failure(self.reached, _UNEXPECTED)
        finally:
            stopping.cancel()
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


def tail_contract(endpoint: TailEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    parameters = endpoint.subject.documented(TAIL_PARAMETERS)
    # A schema without a type: the reader chooses how to represent events, as text or as one object per event.
    events = media({"description": "Server-sent events."}, _example_stream(endpoint.table))
    return Contract(
        parameters={**parameters, LAST_EVENT_ID: LAST_EVENT_ID_PARAMETER, READER: READER_PARAMETER},
        answers={200: Answer("The events, as described above.", {EVENTS: events}, headers_of("Cache-Control", "Vary"))},
        problems=_PROBLEMS,
    )


def _example_stream(table: Table) -> str:
    row = example_row(table)
    ingest_us = epoch_us(datetime.fromisoformat(row["ingest_time"]))
    begins = resume_cursor(table.name, Position(ingest_us - SECOND_US, ""), "")
    reached = resume_cursor(table.name, Position(ingest_us, row["delivery_key"]), "")
    return (opening(begins) + event(RECORD, reached, row) + ending(reached, "time")).decode()


TAIL: EndpointSpec[StreamParts, TailEndpoint] = EndpointSpec(
    path="/records/tail",
    make=lambda stream: TailEndpoint(stream.records),
    respond=TailEndpoint.stream,
    contract=tail_contract,
    scope="read",
    name="tailRecords",
    summary="Follow new records",
    text=_TEXT.replace("{ping_s:g}", f"{PING_S:g}"),
    is_read=False,  # the response streams, and watches its client itself
)
