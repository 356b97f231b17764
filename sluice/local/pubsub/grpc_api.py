"""google.pubsub.v1 over gRPC: the methods google-cloud-pubsub's clients and `gcloud` call."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import grpc
from google.pubsub_v1 import types

from sluice.local.ports import HOST, choose_port
from sluice.local.pubsub.errors import PubsubError
from sluice.local.pubsub.message import MAX_PUBLISH_BYTES
from sluice.local.pubsub.service import METHODS, Proto, PubsubService

_STREAMING_REQUEST: Any = types.StreamingPullRequest.pb()
_OPTIONS = (
    # Above the 10 MB limit, so that an oversized publish is refused with our message, not gRPC's.
    ("grpc.max_receive_message_length", 2 * MAX_PUBLISH_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


@asynccontextmanager
async def serving_grpc(service: PubsubService, port: int) -> AsyncIterator[int]:
    """Serve on `port` (0: a free one) of this machine, and yield the port.

    Raises:
        OSError: it is in use.
    """
    server = grpc.aio.server(options=_OPTIONS)
    handlers: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for method in METHODS:
        handlers[method.service][method.name] = grpc.unary_unary_rpc_method_handler(
            _unary(partial(method.call, service)), method.request.FromString, _serialize
        )
    handlers["Subscriber"]["StreamingPull"] = grpc.stream_stream_rpc_method_handler(
        _streaming_pull(service), _STREAMING_REQUEST.FromString, _serialize
    )
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(f"google.pubsub.v1.{name}", methods)
            for name, methods in handlers.items()
        )
    )
    bound = server.add_insecure_port(f"{HOST}:{choose_port(port, port)}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(grace=None)  # a waiting pull is cut off: clients of a local Pub/Sub reconnect


def _serialize(message: Proto) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded


def _unary(method: Callable[[Proto], Awaitable[Proto]]) -> Callable[[Proto, Any], Awaitable[Proto]]:
    async def call(request: Proto, context: Any) -> Proto:
        try:
            return await method(request)
        except PubsubError as refusal:
            await _abort(context, refusal)

    return call


async def _abort(context: Any, refusal: PubsubError) -> NoReturn:
    await context.abort(grpc.StatusCode[refusal.status], str(refusal))
    raise AssertionError("abort raises")


def _streaming_pull(service: PubsubService) -> Callable[[AsyncIterator[Proto], Any], AsyncIterator[Proto]]:
    async def stream(requests: AsyncIterator[Proto], context: Any) -> AsyncIterator[Proto]:
        first = await anext(aiter(requests))
        name, settled = first.subscription, asyncio.Event()

        async def settle() -> None:
            service.stream_settle(name, first)
            async for request in requests:
                service.stream_settle(name, request)
                settled.set()

        reader: asyncio.Task[None] | None = None
        try:
            service.broker.pulled_subscription(name)
            reader = asyncio.create_task(settle())
            while not reader.done():
                settled.clear()
                response = await service.stream_next(
                    name, first.max_outstanding_messages, first.stream_ack_deadline_seconds or None
                )
                if response.received_messages:
                    yield response
                else:  # flow control: the client's limit of outstanding messages is reached
                    await settled.wait()
        except PubsubError as refusal:
            await _abort(context, refusal)
        finally:
            if reader is not None:
                reader.cancel()

    return stream
