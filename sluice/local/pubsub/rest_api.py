"""Pub/Sub's REST v1 API: what `gcloud pubsub`, curl and REST clients call.

It uses Google's JSON mapping of the same protobuf types as gRPC, and Google's JSON format for errors.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from google.protobuf import json_format
from google.pubsub_v1 import types

from sluice.local.pubsub.errors import InvalidArgumentError, PubsubError, UnsupportedError
from sluice.local.pubsub.message import MAX_PUBLISH_BYTES
from sluice.local.pubsub.service import Proto, PubsubService

_PROJECT = "/v1/projects/{project}"
_TOPIC = _PROJECT + "/topics/{id:[^/:]+}"
_SUBSCRIPTION = _PROJECT + "/subscriptions/{id:[^/:]+}"

ROUTES: tuple[tuple[str, str, Any, str, str], ...] = (
    ("PUT", _TOPIC, types.Topic.pb(), "name", "create_topic"),
    ("GET", _TOPIC, types.GetTopicRequest.pb(), "topic", "get_topic"),
    ("DELETE", _TOPIC, types.DeleteTopicRequest.pb(), "topic", "delete_topic"),
    ("POST", _TOPIC + ":publish", types.PublishRequest.pb(), "topic", "publish"),
    (
        "GET",
        _TOPIC + "/subscriptions",
        types.ListTopicSubscriptionsRequest.pb(),
        "topic",
        "list_topic_subscriptions",
    ),
    ("GET", _PROJECT + "/topics", types.ListTopicsRequest.pb(), "project", "list_topics"),
    ("PUT", _SUBSCRIPTION, types.Subscription.pb(), "name", "create_subscription"),
    ("GET", _SUBSCRIPTION, types.GetSubscriptionRequest.pb(), "subscription", "get_subscription"),
    ("PATCH", _SUBSCRIPTION, types.UpdateSubscriptionRequest.pb(), "subscription.name", "update_subscription"),
    (
        "POST",
        _SUBSCRIPTION + ":modifyPushConfig",
        types.ModifyPushConfigRequest.pb(),
        "subscription",
        "modify_push_config",
    ),
    ("DELETE", _SUBSCRIPTION, types.DeleteSubscriptionRequest.pb(), "subscription", "delete_subscription"),
    ("POST", _SUBSCRIPTION + ":pull", types.PullRequest.pb(), "subscription", "pull"),
    ("POST", _SUBSCRIPTION + ":acknowledge", types.AcknowledgeRequest.pb(), "subscription", "acknowledge"),
    (
        "POST",
        _SUBSCRIPTION + ":modifyAckDeadline",
        types.ModifyAckDeadlineRequest.pb(),
        "subscription",
        "modify_ack_deadline",
    ),
    (
        "GET",
        _PROJECT + "/subscriptions",
        types.ListSubscriptionsRequest.pb(),
        "project",
        "list_subscriptions",
    ),
)
"""Method, path, request class, the request's field that the path fills, method of PubsubService."""

_QUERY_FIELDS = {"pageSize": "page_size", "pageToken": "page_token"}


def rest_app(service: PubsubService) -> web.Application:
    """Return the REST API as an aiohttp application."""
    # Base64 and JSON make 10 MB of messages about 13.4 MB of body.
    app = web.Application(client_max_size=2 * MAX_PUBLISH_BYTES)
    for verb, path, request_class, field, method in ROUTES:
        app.router.add_route(verb, path, _handler(request_class, field, getattr(service, method)))
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


def _handler(
    request_class: Any, field: str, method: Callable[[Proto], Awaitable[Proto]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            proto = await _decode(request, request_class)
            *outer, leaf = field.split(".")
            setattr(getattr(proto, outer[0]) if outer else proto, leaf, _resource_name(request, field))
            answer = json_format.MessageToDict(await method(proto))
        except PubsubError as refusal:
            return _error(refusal)
        except json_format.ParseError as error:
            return _error(InvalidArgumentError(str(error)))
        return web.json_response(answer)

    return handle


async def _decode(request: web.Request, request_class: Any) -> Proto:
    proto = request_class()
    body = await request.read()
    if body:
        try:
            members = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise InvalidArgumentError(f"the body is not JSON: {error}") from error
        if not isinstance(members, dict):
            raise InvalidArgumentError("the body is not a JSON object")
        json_format.ParseDict(members, proto)
    for parameter, field in _QUERY_FIELDS.items():
        if parameter in request.query and field in proto.DESCRIPTOR.fields_by_name:
            json_format.ParseDict({parameter: request.query[parameter]}, proto)
    return proto


def _resource_name(request: web.Request, field: str) -> str:
    name = f"projects/{request.match_info['project']}"
    if field == "project":
        return name
    collection = "topics" if "/topics/" in request.path else "subscriptions"
    return f"{name}/{collection}/{request.match_info['id']}"


async def _unknown(request: web.Request) -> web.Response:
    if request.path == "/":
        return web.Response(text="Ok\n")  # as the official emulator responds: scripts wait for it
    return _error(UnsupportedError(f"the local Pub/Sub does not implement {request.method} {request.path}"))


def _error(refusal: PubsubError) -> web.Response:
    error = {"code": refusal.http_status, "message": str(refusal), "status": refusal.status}
    return web.json_response({"error": error}, status=refusal.http_status)
