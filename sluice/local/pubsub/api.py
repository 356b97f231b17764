"""The part of google.pubsub.v1 that the local Pub/Sub serves, over gRPC and REST: publish, pull, acknowledge, update.

Requests and responses are the raw protobuf classes (`types.X.pb()`), which cost a tenth of the proto-plus wrappers.
REST uses Google's JSON mapping of the same types, and Google's JSON format for errors. What is missing here is refused
by name, never ignored.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, NoReturn

import grpc
import msgspec
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from sluice.local.ports import HOST, choose_port
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import HTTP_STATUS, MAX_PUBLISH_BYTES, Delivery, Draft, PubsubError

Proto = Any
"""A protobuf message: the generated classes carry no types of their own."""

MAX_PULL_MESSAGES = 1_000
PULL_WAIT_S = 10.0
# With an emulator, google-cloud-pubsub's clients keep gRPC's default limit of 4 MiB for received messages.
MAX_PULL_BYTES = 3_500_000
# https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
MIN_RETENTION_S, MAX_RETENTION_S = 600, 31 * 24 * 3600
_OPTIONS = (
    # Above the 10 MB limit, so that an oversized publish is refused with our message, not gRPC's.
    ("grpc.max_receive_message_length", 2 * MAX_PUBLISH_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)
_TOPIC = "/v1/{name:projects/[^/]+/topics/[^/:]+}"
_SUBSCRIPTION = "/v1/{name:projects/[^/]+/subscriptions/[^/:]+}"


async def publish(broker: Broker, request: Proto) -> Proto:
    """PublishRequest -> PublishResponse. Raises PubsubError."""
    drafts = [Draft(m.data, dict(m.attributes), m.ordering_key) for m in request.messages]
    return types.PublishResponse.pb()(message_ids=broker.publish(request.topic, drafts))


async def pull(broker: Broker, request: Proto) -> Proto:
    """PullRequest -> PullResponse, empty if nothing arrived within `PULL_WAIT_S`. Raises PubsubError."""
    name = request.subscription
    settings = _pulled(broker, name)
    if request.max_messages < 1:
        raise PubsubError("INVALID_ARGUMENT", f"maxMessages is {request.max_messages}; it must be at least 1")
    await broker.wait_ready(name, PULL_WAIT_S)
    deliveries = broker.pull(name, min(request.max_messages, MAX_PULL_MESSAGES), None, MAX_PULL_BYTES)
    received = [_received(each, with_attempt=bool(settings.dead_letter_topic)) for each in deliveries]
    return types.PullResponse.pb()(received_messages=received)


async def acknowledge(broker: Broker, request: Proto) -> Proto:
    """AcknowledgeRequest -> Empty. Raises PubsubError."""
    _pulled(broker, request.subscription)
    broker.acknowledge(request.subscription, request.ack_ids)
    return Empty()


async def update_subscription(broker: Broker, request: Proto) -> Proto:
    """UpdateSubscriptionRequest -> Subscription. Raises PubsubError."""
    wanted, changes = request.subscription, dict[str, Any]()
    for path in request.update_mask.paths:
        match path:
            case "message_retention_duration":
                changes["retention_s"] = _retention_s(wanted)
            case "push_config" | "push_config.push_endpoint":
                changes["push_endpoint"] = _push_endpoint(wanted)
            case _:
                raise PubsubError("UNIMPLEMENTED", f"the local Pub/Sub cannot update {path}")
    if not changes:
        raise PubsubError("INVALID_ARGUMENT", "the update mask is empty; name the fields to change")
    settings = broker.update_subscription(wanted.name, changes)
    proto = types.Subscription.pb()(
        name=settings.name,
        topic=settings.topic,
        ack_deadline_seconds=settings.ack_deadline_s,
        push_config={"push_endpoint": settings.push_endpoint},
    )
    proto.message_retention_duration.FromSeconds(round(settings.retention_s))
    return proto


class Method(NamedTuple):
    """A remote method: its name over gRPC, and over REST its verb, its path and the field that the path fills."""

    name: str
    service: str
    request: Any
    verb: str
    path: str
    field: str
    call: Callable[[Broker, Proto], Awaitable[Proto]]


METHODS = (
    Method("Publish", "Publisher", types.PublishRequest.pb(), "POST", f"{_TOPIC}:publish", "topic", publish),
    Method("Pull", "Subscriber", types.PullRequest.pb(), "POST", f"{_SUBSCRIPTION}:pull", "subscription", pull),
    Method(
        "Acknowledge",
        "Subscriber",
        types.AcknowledgeRequest.pb(),
        "POST",
        f"{_SUBSCRIPTION}:acknowledge",
        "subscription",
        acknowledge,
    ),
    Method(
        "UpdateSubscription",
        "Subscriber",
        types.UpdateSubscriptionRequest.pb(),
        "PATCH",
        _SUBSCRIPTION,
        "subscription.name",
        update_subscription,
    ),
)


@asynccontextmanager
async def serving_grpc(broker: Broker, port: int) -> AsyncIterator[int]:
    """Serve on `port` (0: a free one) of this machine, and yield the port.

    Raises:
        OSError: it is in use.
    """
    server = grpc.aio.server(options=_OPTIONS)
    handlers: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for method in METHODS:
        handlers[method.service][method.name] = grpc.unary_unary_rpc_method_handler(
            _unary(partial(method.call, broker)),
            method.request.FromString,
            lambda answer: answer.SerializeToString(),
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


def add_rest_routes(router: web.UrlDispatcher, broker: Broker) -> None:
    """Add a route for each remote method."""
    for method in METHODS:
        router.add_route(method.verb, method.path, _rest(method, broker))
    router.add_route("*", "/v1/{path:.*}", _unknown)


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


def _rest(method: Method, broker: Broker) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            proto = method.request()
            json_format.ParseDict(msgspec.json.decode(await request.read(), type=dict), proto)
            *outer, leaf = method.field.split(".")
            setattr(getattr(proto, outer[0]) if outer else proto, leaf, request.match_info["name"])
            return web.json_response(json_format.MessageToDict(await method.call(broker, proto)))
        except PubsubError as refusal:
            return _error(refusal)
        except (json_format.ParseError, msgspec.DecodeError) as error:
            return _error(PubsubError("INVALID_ARGUMENT", f"the body is no {method.name}Request: {error}"))

    return handle


async def _unknown(request: web.Request) -> web.Response:
    text = f"the local Pub/Sub does not implement {request.method} {request.path}"
    return _error(PubsubError("UNIMPLEMENTED", text))


def _error(refusal: PubsubError) -> web.Response:
    code = HTTP_STATUS[refusal.status]
    error = {"code": code, "message": str(refusal), "status": refusal.status}
    return web.json_response({"error": error}, status=code)


def _pulled(broker: Broker, name: str) -> Any:
    """Return the settings of a subscription that clients may pull. Raises PubsubError."""
    settings = broker.subscription(name).settings
    if settings.push_endpoint:
        raise PubsubError("FAILED_PRECONDITION", f"subscription {name} is pushed to an endpoint and cannot be pulled")
    return settings


def _retention_s(subscription: Proto) -> float:
    retention_s: float = subscription.message_retention_duration.ToTimedelta().total_seconds()
    if not MIN_RETENTION_S <= retention_s <= MAX_RETENTION_S:
        text = f"messageRetentionDuration is {retention_s:g}s; it must be 10 minutes to 31 days"
        raise PubsubError("INVALID_ARGUMENT", text)
    return retention_s


def _push_endpoint(subscription: Proto) -> str:
    """Return the push endpoint; empty pauses pushes."""
    endpoint: str = subscription.push_config.push_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise PubsubError("INVALID_ARGUMENT", f"pushEndpoint {endpoint!r} is not an http:// or https:// URL")
    return endpoint


def _received(delivery: Delivery, *, with_attempt: bool) -> Proto:
    received = types.ReceivedMessage.pb()()
    received.ack_id = delivery.ack_id
    received.delivery_attempt = delivery.attempt if with_attempt else 0
    message, out = delivery.message, received.message
    out.data = message.data
    out.attributes.update(message.attributes)
    out.message_id = message.message_id
    out.ordering_key = message.ordering_key
    out.publish_time.FromMicroseconds(message.publish_time_us)
    return received
