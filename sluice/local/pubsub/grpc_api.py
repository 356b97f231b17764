"""google.pubsub.v1 over gRPC: the methods google-cloud-pubsub's clients and `gcloud` call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.pubsub_v1 import types

from sluice.local.pubsub.errors import PubsubError
from sluice.local.pubsub.message import MAX_PUBLISH_BYTES
from sluice.local.pubsub.service import Proto, PubsubService

PUBLISHER_METHODS: dict[str, tuple[Any, str]] = {
    "CreateTopic": (types.Topic.pb(), "create_topic"),
    "GetTopic": (types.GetTopicRequest.pb(), "get_topic"),
    "ListTopics": (types.ListTopicsRequest.pb(), "list_topics"),
    "ListTopicSubscriptions": (types.ListTopicSubscriptionsRequest.pb(), "list_topic_subscriptions"),
    "DeleteTopic": (types.DeleteTopicRequest.pb(), "delete_topic"),
    "Publish": (types.PublishRequest.pb(), "publish"),
}
SUBSCRIBER_METHODS: dict[str, tuple[Any, str]] = {
    "CreateSubscription": (types.Subscription.pb(), "create_subscription"),
    "GetSubscription": (types.GetSubscriptionRequest.pb(), "get_subscription"),
    "ListSubscriptions": (types.ListSubscriptionsRequest.pb(), "list_subscriptions"),
    "UpdateSubscription": (types.UpdateSubscriptionRequest.pb(), "update_subscription"),
    "ModifyPushConfig": (types.ModifyPushConfigRequest.pb(), "modify_push_config"),
    "DeleteSubscription": (types.DeleteSubscriptionRequest.pb(), "delete_subscription"),
    "Pull": (types.PullRequest.pb(), "pull"),
    "Acknowledge": (types.AcknowledgeRequest.pb(), "acknowledge"),
    "ModifyAckDeadline": (types.ModifyAckDeadlineRequest.pb(), "modify_ack_deadline"),
}
"""Remote method -> request class, method of PubsubService."""

_STREAMING_REQUEST: Any = types.StreamingPullRequest.pb()
_OPTIONS = (
    # Above the 10 MB limit, so that an oversized publish is refused with our message, not gRPC's.
    ("grpc.max_receive_message_length", 2 * MAX_PUBLISH_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


def grpc_server(service: PubsubService) -> grpc.aio.Server:
    """Return a server that has yet to be given a port and started."""
    server = grpc.aio.server(options=_OPTIONS)
    subscriber = _handlers(service, SUBSCRIBER_METHODS)
    subscriber["StreamingPull"] = grpc.stream_stream_rpc_method_handler(
        _streaming_pull(service), _STREAMING_REQUEST.FromString, _serialize
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", _handlers(service, PUBLISHER_METHODS)),
            grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber),
        )
    )
    return server


def _handlers(service: PubsubService, methods: dict[str, tuple[Any, str]]) -> dict[str, Any]:
    return {
        remote: grpc.unary_unary_rpc_method_handler(
            _unary(getattr(service, method)), request_class.FromString, _serialize
        )
        for remote, (request_class, method) in methods.items()
    }


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
