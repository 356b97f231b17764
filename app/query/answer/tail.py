"""The route `/v1/records/tail`: new records, as they settle, over one connection."""

from datetime import datetime
from functools import partial

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Send as ASGISend

from app.auth.read_slots import leave
from app.http.contract import Answer, Contract, media
from app.http.reading import VARY
from app.query.answer.conditional import Ask, FixedFilters
from app.query.answer.contract import headers_of
from app.query.answer.tail_events import EventFormat, ending, opening, record_event
from app.query.answer.tail_stream import PING_S, Tail, Tails
from app.query.read.pages import Pages
from app.query.read.reads import END_OF_BODY, Reads, StreamedResponse
from app.query.request.parameters import LAST_EVENT_ID, LAST_EVENT_ID_PARAMETER, TAIL_PARAMETERS
from app.query.request.requests import parse_tail_request, queryable
from app.query.routes import EndpointSpec
from app.runtime.instants import SECOND_US, epoch_us
from app.schema.record_json import example_record, example_row
from app.schema.table import Table
from app.stores.query import Position

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
- `error` is the last event if the store has failed for too long; its data is a problem document.

A comment is sent at least every {ping_s:g} seconds, with an `id` if the stream has advanced without records. A record \
is sent as soon as its position in the order is final."""


class TailEndpoint:
    """Streams the tail of one table.

    Permission is checked once, when the stream begins. A revoked grant holds until the stream ends, at most
    `tail_max_s` later (plus PING_S for a client that reads nothing, and so receives nothing).
    """

    def __init__(self, pages: Pages, reads: Reads, tails: Tails) -> None:
        self.table = pages.feed.table
        self.subject = queryable(self.table, pages.settings.query.max_window_days)
        self._fixed = FixedFilters(self.table)
        self._pages, self._reads, self._tails = pages, reads, tails

    async def answer(self, request: Ask) -> Response[bytes]:
        """Return the stream that `request` asks for.

        Raises:
            ProblemError: a parameter or a cursor is not valid, or there are too many streams.
        """
        query = request.scope["query_string"].decode("latin-1")
        last_event_id = request.headers.get(LAST_EVENT_ID)
        tail_request = parse_tail_request(query, last_event_id, self.subject, self.table.name, self._pages.now())
        self._fixed.check(request, (condition.path for condition in tail_request.conditions))
        self._reads.check_open()
        if request.method == "HEAD":
            return StreamedResponse(_HEADERS, EVENTS, None)
        leave(request.scope)  # tails have a limit of their own
        form = EventFormat(self.table.name, tail_request.columns, tail_request.fingerprint)
        tail = self._tails.admit(
            request.state.principal.name, tail_request.start, form, (*tail_request.conditions, *self._fixed.of(request))
        )
        return StreamedResponse(_HEADERS, EVENTS, _Stream(tail, self._reads))


class _Stream:
    """The stream of a tail, which is closed when the stream ends."""

    def __init__(self, tail: Tail, reads: Reads) -> None:
        self._tail, self._reads = tail, reads

    async def __call__(self, request: Ask, response: ASGIResponse, send: ASGISend) -> None:
        """Send `response` with the stream as its body, until it ends, the client leaves, or the service stops."""
        try:
            sending = self._send_all(response, send)
            await self._reads.stream(request, sending, partial(self._tail.end, "stopping"))
        finally:
            self._tail.close()

    async def _send_all(self, response: ASGIResponse, send: ASGISend) -> None:
        async def send_piece(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        await response.start_response(send)
        await self._tail.run(send_piece)
        await send(END_OF_BODY)


def tail_contract(endpoint: TailEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    parameters = endpoint.subject.documented(TAIL_PARAMETERS)
    # A schema without a type: the reader chooses how to represent events, as text or as one object per event.
    events = media({"description": "Server-sent events."}, _example_stream(endpoint.table))
    return Contract(
        parameters={**parameters, LAST_EVENT_ID: LAST_EVENT_ID_PARAMETER},
        answers={200: Answer("The events, as described above.", {EVENTS: events}, headers_of("Cache-Control", "Vary"))},
        problems=_PROBLEMS,
    )


def _example_stream(table: Table) -> str:
    row = example_row(table.columns, example_record(table))
    place = Position(epoch_us(datetime.fromisoformat(row["ingest_time"])), row["delivery_key"])
    form = EventFormat(table.name, table.columns)
    begins = Position(place.ingest_us - SECOND_US, "")
    event = record_event(form, place, row)
    return (opening(form, begins) + event + ending(form, place, "time")).decode()


TAIL = EndpointSpec(
    path="/records/tail",
    make=lambda parts: TailEndpoint(parts.pages, parts.responder.reads, parts.tails),
    answer=TailEndpoint.answer,
    contract=tail_contract,
    scope="read",
    name="tailRecords",
    summary="Follow new records",
    text=_TEXT.replace("{ping_s:g}", f"{PING_S:g}"),
    is_read=False,  # the response streams, and watches its client itself
)
