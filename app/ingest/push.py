"""`POST /pubsub/push`: what Pub/Sub is told about a message.

A plain ASGI application: a route handler of the framework costs several times as much, which
bench/push_handlers.py measures. It is a route of the Litestar application all the same (`push_route`), in its
OpenAPI document like any other and serving where the application is mounted; `app.main` takes the short way.
"""

import logging
from typing import Any, assert_never

from litestar import Request, post
from litestar.types import Receive, Scope, Send

from app import paths
from app.auth import TokenVerifier
from app.clock import MICROSECONDS, Clock
from app.errors import MEDIA_TYPE, ProblemError, problem_responses
from app.ingest.envelope import EnvelopeError, Headers, open_push
from app.ingest.intake import Intake, not_durable
from app.ingest.pipeline import Pipeline
from app.ingest.verdict import Durable, Throttled, Unavailable
from app.telemetry.metrics import Metrics

_log = logging.getLogger("sluice.push")
_NO_HEADERS: list[tuple[bytes, bytes]] = []


class PushEndpoint:
    """The ASGI application behind `POST /pubsub/push`."""

    def __init__(
        self, *, verifier: TokenVerifier, intake: Intake, pipeline: Pipeline, metrics: Metrics, clock: Clock
    ) -> None:
        self._verifier, self._intake, self._pipeline = verifier, intake, pipeline
        self._clock, self._answered = clock, metrics.request_duration

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one push."""
        begun_us = self._clock.elapsed_us()
        try:
            await self.take(scope["headers"], receive)
            status, headers, body = 204, _NO_HEADERS, b""
        except ProblemError as problem:
            status, headers, body = _answer(problem)
        except Exception:
            _log.exception("unexpected failure of a push")
            status, headers, body = _answer(ProblemError("internal", "the push failed unexpectedly"))
        took_s = (self._clock.elapsed_us() - begun_us) / MICROSECONDS
        self._answered.record(took_s, paths.PUSH, "POST", status, "push")
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def take(self, headers: Headers, receive: Receive) -> None:
        """Go through the stages of a push; return when the message is durable.

        Raises:
            ProblemError: why the message is not acknowledged.
        """
        await self._verifier.principal(headers)
        body = await self._intake.read(headers, receive)
        try:
            receipt = await self._pipeline.process(open_push(headers, body))
        except EnvelopeError as error:
            raise ProblemError("invalid_envelope", str(error)) from None
        finally:
            self._intake.release(body)
        match receipt.verdict:
            case Durable():
                return
            case Unavailable() | Throttled() as verdict:
                raise not_durable(verdict)
            case _:
                assert_never(receipt.verdict)


def _answer(problem: ProblemError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    headers = {"Content-Type": MEDIA_TYPE, **problem.response_headers()}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return problem.status, encoded, problem.body()


def push_route(endpoint: PushEndpoint) -> Any:
    """Return the Litestar route of `endpoint`: the way of its OpenAPI entry, and of a mounted application."""

    @post(
        paths.PUSH,
        operation_id="push",
        summary="Take one message from a Pub/Sub push subscription",
        description=(
            "Wrapped or unwrapped, authenticated by the OIDC token of the subscription's service account. A 2xx means "
            "that every record of the message is stored, or that its rejection is, with the reason. Anything else "
            "makes Pub/Sub deliver the message again."
        ),
        tags=["ingest"],
        status_code=204,
        responses=problem_responses(_PROBLEMS),
    )
    async def push(request: Request[Any, Any, Any]) -> None:
        await endpoint.take(request.scope["headers"], request.receive)

    return push


_PROBLEMS = {
    400: "Not a push message.",
    401: "No token, or not a valid one.",
    403: "The caller may not push.",
    408: "The body came too slowly.",
    413: "Larger than any Pub/Sub message.",
    429: "Too much is in flight, or the store's quota is used up.",
    503: "Not durable in time, or the store is not set up; to be delivered again.",
}
