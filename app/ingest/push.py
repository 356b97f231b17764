"""`POST /pubsub/push`: what Pub/Sub is told about a message.

A plain ASGI application: a route handler of the framework costs several times as much, which
bench/push_handlers.py measures. It is a route of the Litestar application all the same (`push_route`), in its
OpenAPI document like any other and serving where the application is mounted; `app.main` takes the short way.
"""

import logging
from collections.abc import Iterable
from typing import Any, assert_never

from litestar import Request, post
from litestar.types import Receive, Scope, Send

from app import paths
from app.auth import TokenVerifier
from app.errors import MEDIA_TYPE, ProblemError, problem_responses
from app.ingest.admission import Admission, Refusal
from app.ingest.dedupe import Conflict
from app.ingest.envelope import EnvelopeError, open_push
from app.ingest.pipeline import Pipeline
from app.ingest.verdict import Durable, Throttled, Unavailable
from app.telemetry import Counters

_log = logging.getLogger("sluice.push")
_NO_HEADERS: list[tuple[bytes, bytes]] = []


class PushEndpoint:
    """The ASGI application behind `POST /pubsub/push`."""

    def __init__(
        self,
        *,
        verifier: TokenVerifier,
        admission: Admission,
        pipeline: Pipeline,
        counters: Counters,
        max_body_bytes: int,
    ) -> None:
        self._verifier, self._admission, self._pipeline = verifier, admission, pipeline
        self._counters, self._max_body_bytes = counters, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one push."""
        try:
            await self.take(scope["headers"], receive)
            status, headers, body = 204, _NO_HEADERS, b""
        except ProblemError as problem:
            status, headers, body = _answer(problem)
        except Exception:
            _log.exception("unexpected failure of a push")
            status, headers, body = _answer(ProblemError("internal", "the push failed unexpectedly"))
        self._counters.push_answers[status] += 1
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def take(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> None:
        """Go through the stages of a push; return when the message is durable.

        Raises:
            ProblemError: why the message is not acknowledged.
        """
        await self._verifier.principal(headers)
        body = await read_body(headers, receive, self._max_body_bytes)
        refusal = self._admission.enter(len(body))
        if refusal is not None:
            raise not_admitted(refusal)
        try:
            message = open_push(headers, body)
            receipt = await self._pipeline.process(message)
        except EnvelopeError as error:
            raise ProblemError("invalid_envelope", str(error)) from None
        finally:
            self._admission.leave(len(body))
        if isinstance(receipt, Conflict):  # pragma: no cover - pushes carry no digest that could differ
            raise ProblemError("idempotency_conflict", "another message has this id")
        match receipt.verdict:
            case Durable():
                return
            case Unavailable() | Throttled() as verdict:
                raise not_durable(verdict)
            case _:
                assert_never(receipt.verdict)


def not_admitted(refusal: Refusal) -> ProblemError:
    """Return the problem of a request that was refused at once."""
    match refusal:
        case Refusal.BUSY:
            detail = "as much is in flight as this instance takes"
            return ProblemError("busy", detail, headers={"Retry-After": "1"}, members={"retry_after_s": 1})
        case Refusal.DRAINING:
            return ProblemError("draining", "this instance is shutting down", headers={"Connection": "close"})
        case _:
            assert_never(refusal)


def not_durable(verdict: Unavailable | Throttled) -> ProblemError:
    """Return the problem of a message that did not become durable."""
    code = "busy" if isinstance(verdict, Throttled) else "unavailable"
    wait_s = max(1, round(verdict.retry_after_s))
    headers, members = {"Retry-After": str(wait_s)}, {"retry_after_s": wait_s}
    return ProblemError(code, verdict.detail, headers=headers, members=members)


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive, max_bytes: int) -> bytes:
    """Read a request's body.

    Raises:
        ProblemError: too_large, as soon as that is known.
    """
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ProblemError("invalid_envelope", "the request ended before its body did")
        chunk = event["body"] if event["type"] == "http.request" else b""
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not event.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> ProblemError:
    detail = f"the body is larger than {max_bytes} bytes, which no Pub/Sub message is"
    return ProblemError("too_large", detail, members={"max_body_bytes": max_bytes})


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
    413: "Larger than any Pub/Sub message.",
    429: "Too much is in flight, or the store's quota is used up.",
    503: "Not durable in time, or the store is not set up; to be delivered again.",
}
