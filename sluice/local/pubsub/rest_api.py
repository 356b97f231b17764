"""Pub/Sub's REST v1 API: what `gcloud pubsub`, curl and REST clients call.

It uses Google's JSON mapping of the same protobuf types as gRPC, and Google's JSON format for errors. Lists come in one
page.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from google.protobuf import json_format

from sluice.local.pubsub.errors import InvalidArgumentError, PubsubError, UnsupportedError
from sluice.local.pubsub.service import METHODS, Method, Proto, PubsubService


def add_rest_routes(router: web.UrlDispatcher, service: PubsubService) -> None:
    """Add a route for each remote method."""
    for method in METHODS:
        router.add_route(method.verb, method.path, _handler(method, service))
    router.add_route("*", "/v1/{path:.*}", _unknown)


def _handler(method: Method, service: PubsubService) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            proto = await _decode(request, method.request)
            *outer, leaf = method.field.split(".")
            setattr(getattr(proto, outer[0]) if outer else proto, leaf, _resource_name(request, method.field))
            answer = json_format.MessageToDict(await method.call(service, proto))
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
    return proto


def _resource_name(request: web.Request, field: str) -> str:
    name = f"projects/{request.match_info['project']}"
    if field == "project":
        return name
    collection = "topics" if "/topics/" in request.path else "subscriptions"
    return f"{name}/{collection}/{request.match_info['id']}"


async def _unknown(request: web.Request) -> web.Response:
    return _error(UnsupportedError(f"the local Pub/Sub does not implement {request.method} {request.path}"))


def _error(refusal: PubsubError) -> web.Response:
    error = {"code": refusal.http_status, "message": str(refusal), "status": refusal.status}
    return web.json_response({"error": error}, status=refusal.http_status)
