"""`POST /pubsub/push`: the answer to Pub/Sub for each message.

This is a plain ASGI application, since a route handler of the framework costs several times as much
(docs/decisions/0006-one-process-one-loop.md). It is also a route of the Litestar application (`push_route`), which
puts it into the OpenAPI document and serves it where the application is mounted; `app.asgi` bypasses that route.
"""

import asyncio
import base64
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec
from litestar import Request, post
from litestar.types import Receive, Send
from opentelemetry.trace import Span

from app.auth.signatures import Proofs
from app.auth.tokens import TokenVerifier
from app.environment import Environment
from app.http import paths
from app.http.contract import CONTRACT, JSON, PER_STREAM, Answer, Contract, media
from app.http.headers import NOSNIFF
from app.http.problems import ProblemError, encoded
from app.ingest.decode.envelope import EnvelopeError, Headers, Message, Push, open_push
from app.ingest.intake import Intake
from app.ingest.pipeline import ABANDONED, STORED, Pipeline, Receipt
from app.ingest.verdict import NotDurableError, Throttled, require_durable
from app.runtime.clock import MICROSECONDS
from app.schema.record_json import example_record
from app.schema.table import Table
from app.streams import RoutingTable, Streams
from app.telemetry import tracing
from app.telemetry.tracing import end_span, inside, trace_id_of

_log = logging.getLogger("sluice.push")
_NOT_TRACED = nullcontext()
_NO_HEADERS: list[tuple[bytes, bytes]] = []


class PushEndpoint:
    """Answers `POST /pubsub/push`, through ASGI's `receive` and `send`."""

    def __init__(
        self,
        environment: Environment,
        verifier: TokenVerifier,
        intake: Intake,
        routing: RoutingTable,
        pipelines: Mapping[str, Pipeline],
    ) -> None:
        self._verifier, self._intake, self._routing, self._pipelines = verifier, intake, routing, pipelines
        self._clock, self._tracing, self._metrics = environment.clock, environment.tracing, environment.metrics
        self._answered = environment.metrics.request_duration
        auth = environment.settings.auth
        self._proofs = Proofs(auth.signing_secret, auth.heartbeat_signature)

    async def __call__(self, headers: Headers, receive: Receive, send: Send, stream: str = "") -> int:
        """Answer one push with these headers, to the `stream` that its path names, if any; return the status."""
        begun_us = self._clock.elapsed_us()
        taken = self.take(headers, receive, stream, begun_us)
        del headers  # see `take`
        try:
            await taken
            status, answer_headers, body = 204, _NO_HEADERS, b""
        except ProblemError as problem:
            status, answer_headers, body = encoded(problem)
        except Exception:
            _log.exception("unexpected failure of a push")
            status, answer_headers, body = encoded(ProblemError("internal", "the push failed unexpectedly"))
        took_s = (self._clock.elapsed_us() - begun_us) / MICROSECONDS
        self._answered.record(took_s, paths.PUSH, "POST", status, "push")
        if body:  # a 204 has no content whose type could be sniffed
            answer_headers = [*answer_headers, NOSNIFF]
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return status

    async def take(self, headers: Headers, receive: Receive, stream: str = "", begun_us: int = 0) -> None:
        """Run the nine stages of a push; return when the message is durable.

        `stream` is the one that the path names, empty if it names none. `begun_us` (the clock's `elapsed_us`) is when
        the request began, by default now.

        While it waits for the store, it keeps the message and nothing else of the request. Hundreds of pushes wait, and
        memory that is released early is reused while it is still in the processor's cache.

        Raises:
            ProblemError: why the message is not acknowledged.
        """
        begun_us = begun_us or self._clock.elapsed_us()
        named = dict(headers)
        # 1. Authenticate.
        caller = self._verifier.remembered(headers, named)
        if caller is None:  # also if a header occurs twice
            caller = await self._verifier.principal(headers)
        # 2. Admit: read the body, within the bytes that may be in flight.
        body, reservation = await self._intake.read(named, receive, caller, begun_us)
        try:
            # 3. Open the envelope.
            message = self._opened(named, body)
            del named, body
            # 4. Choose the stream.
            pipeline, message = self._routed(message, stream)
            if self._tracing.follows(message.parent):
                message = self._traced(message, headers, begun_us)
            del headers
            with _NOT_TRACED if message.span is None else _inside(message.span):
                # 5. Drop a known copy: it is answered as the first one.
                if (receipt := pipeline.claim(message)) is None:
                    receipt = ABANDONED
                    try:
                        # 6. Decode: on the event loop if the message is light.
                        allowance = pipeline.allowance(reservation, begun_us)
                        decoded = pipeline.decode_light(message) or await pipeline.decode_heavy(message, allowance)
                        if pipeline.earlier is not None:  # a seek is declared
                            decoded = await pipeline.without_stored(message, decoded)
                        # 7. Store the rejects. Nothing is acknowledged without them.
                        if decoded.rejects:
                            await pipeline.reject(message, decoded, allowance)
                        # 8. Append the rows, and wait until they are durable.
                        refused = await pipeline.append(message, decoded.rows, allowance) if decoded.rows else ()
                        pipeline.note(message, decoded, refused)
                        receipt = STORED
                    except NotDurableError as error:
                        receipt = Receipt(error.verdict)
                    finally:
                        pipeline.settle(message, receipt)
                elif isinstance(receipt, asyncio.Future):
                    receipt = await asyncio.shield(receipt)
                # 9. Answer.
                if receipt is not STORED:
                    require_durable(receipt.verdict)
        finally:
            reservation.release()

    def _opened(self, headers: Mapping[bytes, bytes], body: bytes) -> Message:
        try:
            message = open_push(headers, body, self._proofs)
        except EnvelopeError as error:
            raise ProblemError("invalid_envelope", str(error)) from None
        if message.unproved:
            self._metrics.unproved_messages += 1
            _log.warning("message %s: no valid signature of the attribute %s", message.message_id, message.unproved)
        return message

    def _routed(self, message: Message, path: str) -> tuple[Pipeline, Message]:
        """Return the pipeline of a message; that of the default stream stores what no stream takes as a reject."""
        route = self._routing.route(message.subscription_name, message.attributes, path)
        if route.unroutable or route.may_be_personal:
            message = msgspec.structs.replace(
                message, unroutable=route.unroutable, may_be_personal=route.may_be_personal
            )
        return self._pipelines[route.stream], message

    def _traced(self, message: Message, headers: Headers, begun_us: int) -> Message:
        """Return the message with the span of its processing."""
        arrived_us = self._clock.now_us() - (self._clock.elapsed_us() - begun_us)
        attributes: dict[str, str | int] = {
            tracing.MESSAGING_SUBSCRIPTION: message.subscription_name or "",
            tracing.MESSAGING_MESSAGE_ID: message.message_id or "",
            tracing.MESSAGING_BODY_SIZE: len(message.data),
        }
        span = self._tracing.push(message.parent, headers, arrived_us, attributes)
        # The records of a message without a trace of its own refer to this one.
        return msgspec.structs.replace(message, span=span, trace_id=message.trace_id or trace_id_of(span))


@contextmanager
def _inside(span: Span) -> Iterator[None]:
    """End `span` with the block, and with its outcome."""
    outcome = "failed"
    try:
        with inside(span):
            yield
        outcome = "durable"
    except NotDurableError as error:
        outcome = "throttled" if isinstance(error.verdict, Throttled) else "unavailable"
        raise
    finally:
        end_span(span, {tracing.OUTCOME: outcome}, None if outcome == "durable" else outcome)


_PROBLEMS = {
    400: "The body is not a push message.",
    401: "The token is missing or not valid.",
    403: "The caller may not push.",
    408: "The body arrived too slowly.",
    413: "The body is larger than any Pub/Sub message.",
    429: "Too many messages are in flight, or the store's quota is exhausted.",
    503: "The message was not stored in time, or the store is not set up; Pub/Sub delivers it again.",
}


def _contract(table: Table) -> Contract:
    """Return the contract of a push: a wrapped message (https://cloud.google.com/pubsub/docs/push#receive_push)."""
    data = base64.b64encode(msgspec.json.encode(example_record(table) or {})).decode()
    example = {
        "message": {
            "data": data,
            "attributes": {"origin": "checkout"},
            "messageId": "9172635445566778",
            "publishTime": "2026-01-31T12:00:00.123Z",
        },
        "subscription": "projects/example/subscriptions/records",
    }
    return Contract(
        body={JSON: media(Push, example)},
        answers={204: Answer("Every record of the message is stored, or its rejection is.")},
        problems=_PROBLEMS,
    )


def push_route(endpoint: PushEndpoint, streams: Streams) -> Any:
    """Return the Litestar route of `endpoint`, for the OpenAPI document and for mounted applications."""
    contracts = {name: _contract(stream.table) for name, stream in streams.by_name.items()} if streams.are_named else {}

    @post(
        [paths.PUSH, f"{paths.PUSH}/{{stream:str}}"],
        operation_id="push",
        summary="Receive one message from a Pub/Sub push subscription",
        description=_TEXT + (_ROUTED if contracts else ""),
        tags=["ingest"],
        status_code=204,
        opt={CONTRACT: _contract(streams.default.table), PER_STREAM: contracts},
    )
    async def push(request: Request[Any, Any, Any]) -> None:
        headers = [(name, value) for name, value in request.scope["headers"]]
        await endpoint.take(headers, request.receive, request.path_params.get("stream", ""))

    return push


_TEXT = (
    "The message is wrapped or unwrapped, and authenticated by the OIDC token of the subscription's service account. A "
    "2xx means that each record of the message is stored, or rejected with a stored reason. After any other status, "
    "Pub/Sub delivers the message again."
)
_ROUTED = (
    " The path, the subscription or an attribute names the stream. A message that no stream takes is stored among the "
    "rejects (`unroutable`)."
)
