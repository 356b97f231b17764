"""`POST /pubsub/push`: the answer to Pub/Sub for each message.

This is a plain ASGI application, since a route handler of the framework costs several times as much
(docs/decisions/0006-one-process-one-loop.md). It is also a route of the Litestar application (`push_routes`), which
puts it into the OpenAPI document and serves it where the application is mounted; `app.asgi` bypasses that route.
"""

import logging
from collections.abc import Mapping
from typing import Any, assert_never

import msgspec
from litestar import Request, post
from litestar.types import Receive, Send

from app.auth.tokens import TokenVerifier
from app.environment import Environment
from app.http import paths
from app.http.contract import CONTRACT, PER_STREAM
from app.http.headers import NOSNIFF
from app.http.problems import ProblemError, encoded
from app.ingest.contracts import push_contract
from app.ingest.decode.envelope import EnvelopeError, Headers, Message, open_push
from app.ingest.decode.proof import Proofs
from app.ingest.intake import Intake
from app.ingest.pipeline import Pipeline, Receipt
from app.ingest.routing import RoutingTable
from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict, not_durable
from app.runtime.clock import MICROSECONDS
from app.runtime.ledger import Holding
from app.streams import Streams
from app.telemetry import attributes as names
from app.telemetry.tracing import end_span, inside, trace_id_of

_log = logging.getLogger("sluice.push")
_OUTCOMES: dict[type[Verdict], str] = {Durable: "durable", Unavailable: "unavailable", Throttled: "throttled"}
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

    async def __call__(self, headers: Headers, receive: Receive, send: Send, route: str = "") -> int:
        """Answer one push with these headers, to the stream `route` if its path names one; return the status."""
        begun_us = self._clock.elapsed_us()
        taken = self.take(headers, receive, route, begun_us)
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

    async def take(self, headers: Headers, receive: Receive, route: str = "", begun_us: int = 0) -> None:
        """Run the stages of a push; return when the message is durable.

        `route` is the stream that the path names, empty if it names none. `begun_us` (the clock's `elapsed_us`) is when
        the request began, by default now.

        While it waits for the store, it keeps the message and nothing else of the request. Hundreds of pushes wait, and
        memory that is released early is reused while it is still in the processor's cache.

        Raises:
            ProblemError: why the message is not acknowledged.
        """
        begun_us = begun_us or self._clock.elapsed_us()
        # Authenticate.
        named = dict(headers)
        caller = self._verifier.remembered(headers, named)
        if caller is None:  # also if a header occurs twice
            caller = await self._verifier.principal(headers)
        # Read the body, within what may be in flight.
        body, holding = await self._intake.read(named, receive, caller, begun_us)
        try:
            # Open the envelope.
            message = open_push(named, body, self._proofs)
            del named, body
            if message.unproved:
                self._note_unproved(message)
            # Choose the stream.
            pipeline, message = self._routed(message, route)
            # Drop a known copy, decode, store the rejects, append: the stages of all messages, whoever sends them.
            if self._tracing.follows(message.parent):
                receipt = await self._traced(pipeline, message, headers, begun_us, holding)
            else:
                del headers
                receipt = await pipeline.process(message, holding=holding)
        except EnvelopeError as error:
            raise ProblemError("invalid_envelope", str(error)) from None
        finally:
            holding.release()
        # Answer.
        match receipt.verdict:
            case Durable():
                return
            case Unavailable() | Throttled() as verdict:
                raise not_durable(verdict)
            case _:
                assert_never(receipt.verdict)

    def _routed(self, message: Message, path: str) -> tuple[Pipeline, Message]:
        """Return the pipeline of a message; that of the default stream stores what no stream takes as a reject."""
        route = self._routing.route(message, path)
        if route.unroutable or route.may_be_personal:
            message = msgspec.structs.replace(
                message, unroutable=route.unroutable, may_be_personal=route.may_be_personal
            )
        return self._pipelines[route.stream], message

    def _note_unproved(self, message: Message) -> None:
        """Count and log a message whose attribute has no power; the attribute's value is not logged."""
        self._metrics.unproved_messages += 1
        can_prove = self._proofs.can_prove(message.unproved)
        why = "its signature does not match" if can_prove else "SLUICE_SIGNING_SECRET is not set"
        _log.warning(
            "message %s has the attribute %s without a valid signature, and is stored as an ordinary message: %s",
            message.message_id,
            message.unproved,
            why,
        )

    async def _traced(
        self, pipeline: Pipeline, message: Message, headers: Headers, begun_us: int, holding: Holding
    ) -> Receipt:
        arrived_us = self._clock.now_us() - (self._clock.elapsed_us() - begun_us)
        attributes: dict[str, str | int] = {
            names.MESSAGING_SUBSCRIPTION: message.subscription_name or "",
            names.MESSAGING_MESSAGE_ID: message.message_id or "",
            names.MESSAGING_BODY_SIZE: len(message.data),
        }
        span = self._tracing.push(message.parent, headers, arrived_us, attributes)
        # The records of a message without a trace of its own refer to this one.
        message = msgspec.structs.replace(message, span=span, trace_id=message.trace_id or trace_id_of(span))
        outcome = "failed"
        try:
            with inside(span):
                receipt = await pipeline.process(message, holding=holding)
            outcome = _OUTCOMES[type(receipt.verdict)]
        finally:
            end_span(span, {names.OUTCOME: outcome}, None if outcome == "durable" else outcome)
        return receipt


def push_routes(endpoint: PushEndpoint, streams: Streams) -> list[Any]:
    """Return the Litestar routes of `endpoint`, for the OpenAPI document and for mounted applications."""
    about = (
        "The message is wrapped or unwrapped, and authenticated by the OIDC token of the subscription's "
        "service account. A 2xx means that each record of the message is stored, or rejected with a stored "
        "reason. After any other status, Pub/Sub delivers the message again."
    )

    @post(
        paths.PUSH,
        operation_id="push",
        summary="Receive one message from a Pub/Sub push subscription",
        description=about + (_ROUTED if streams.are_named else ""),
        tags=["ingest"],
        status_code=204,
        opt={CONTRACT: push_contract(streams.default.table)},
    )
    async def push(request: _Request) -> None:
        await endpoint.take(_headers(request), request.receive)

    contracts = {name: push_contract(stream.table) for name, stream in streams.by_name.items()}

    @post(
        f"{paths.PUSH}/{{stream:str}}",
        operation_id="push",
        summary="Receive one message for a stream from a Pub/Sub push subscription",
        description=about,
        tags=["ingest"],
        status_code=204,
        opt={PER_STREAM: contracts} if streams.are_named else {},
    )
    async def push_to_stream(request: _Request) -> None:
        route: str = request.path_params["stream"]
        await endpoint.take(_headers(request), request.receive, route)

    return [push, push_to_stream]


_Request = Request[Any, Any, Any]
_ROUTED = (
    " The subscription or an attribute names the stream. A message that no stream takes is stored among the rejects "
    "(`unroutable`)."
)


def _headers(request: _Request) -> Headers:
    return [(name, value) for name, value in request.scope["headers"]]
