"""Wire the local Pub/Sub, the issuer and the pusher together, and shut them down again.

One port serves gRPC; the other one HTTP:

GET  /certs          the key set: {kid: PEM public key}
GET  /subscriptions  the backlog of every subscription, dead letters included  (pubsub.subscription.Backlog)
POST /token          a fresh push token
     /v1/projects/…  Pub/Sub's REST API  (pubsub.api)
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec
from aiohttp import web

from app.runtime.clock import SystemClock
from sluice.local.flow import PushFlow
from sluice.local.issuer import Issuer
from sluice.local.ports import HOST
from sluice.local.pubsub.api import add_rest_routes, serving_grpc
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import MAX_PUBLISH_BYTES
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.pusher import Pusher
from sluice.local.stack_settings import (
    AUDIENCE,
    DEAD_LETTERS,
    PRINCIPAL,
    Ready,
    StackSettings,
    subscription_name,
    topic_name,
)

KEYS_MAX_AGE_S = 3600
_ACK_DEADLINE_S = 60
_SHUTDOWN_S = 0.1  # a waiting pull is cut off: clients of a local Pub/Sub reconnect
_log = logging.getLogger(__name__)


@asynccontextmanager
async def running(settings: StackSettings) -> AsyncIterator[Ready]:
    """Start everything, yield its addresses, and stop it.

    Raises:
        OSError: a port is in use.
        ValueError: the limits contradict each other.
    """
    broker = Broker(SystemClock().now_us)
    async with AsyncExitStack() as stack:
        # Bound first: the address is in the tokens, and a port conflict shows before anything else starts.
        listener = stack.enter_context(socket.create_server((HOST, settings.issuer_port)))
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        issuer = Issuer(url)
        token = partial(issuer.token, AUDIENCE, PRINCIPAL)
        pushers = []
        for stream in ("", *settings.streams):
            flow = PushFlow(max_backoff_s=settings.max_backoff_s, max_window=settings.max_outstanding)
            pushers.append(Pusher(broker, create(broker, settings, stream), token, flow))
        port = await stack.enter_async_context(serving_grpc(broker, settings.port))
        control = web.AppRunner(control_app(issuer, broker), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await control.setup()
        stack.push_async_callback(control.cleanup)
        await web.SockSite(control, listener).start()
        pushing = [asyncio.create_task(pusher.run()) for pusher in pushers]
        stack.push_async_callback(asyncio.wait, pushing)
        for task in pushing:
            task.add_done_callback(_report_failure)
            stack.callback(task.cancel)
        yield Ready(pubsub=f"{HOST}:{port}", issuer=url, keys_url=f"{url}/certs")


def control_app(issuer: Issuer, broker: Broker) -> web.Application:
    """Return the routes listed in the module's docstring."""

    async def certs(_: web.Request) -> web.Response:
        return web.json_response(issuer.certs(), headers={"Cache-Control": f"public, max-age={KEYS_MAX_AGE_S}"})

    async def subscriptions(_: web.Request) -> web.Response:
        return web.json_response({"subscriptions": msgspec.to_builtins(broker.backlogs())})

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"token": issuer.token(AUDIENCE, PRINCIPAL)})

    # Base64 and JSON make 10 MB of messages about 13.4 MB of body.
    app = web.Application(client_max_size=2 * MAX_PUBLISH_BYTES)
    app.router.add_get("/certs", certs)
    app.router.add_get("/subscriptions", subscriptions)
    app.router.add_post("/token", token)
    add_rest_routes(app.router, broker)
    return app


def create(broker: Broker, settings: StackSettings, stream: str) -> str:
    """Create a stream's push subscription ("": the shared one) with its topics; return its full name."""
    name, topic, dead_letters = (
        subscription_name(stream=stream),
        topic_name(stream=stream),
        topic_name(DEAD_LETTERS, stream),
    )
    broker.create_topic(topic)
    broker.create_topic(dead_letters)
    kept = f"{subscription_name(DEAD_LETTERS, stream)}-sub"
    broker.create_subscription(SubscriptionSettings(name=kept, topic=dead_letters))
    broker.create_subscription(
        SubscriptionSettings(
            name=name,
            topic=topic,
            ack_deadline_s=_ACK_DEADLINE_S,
            dead_letter_topic=dead_letters,
            max_attempts=settings.max_attempts,
            push_endpoint=f"{settings.push_endpoint}/{stream}" if stream else settings.push_endpoint,
        )
    )
    return name


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.critical("%s ended: no more messages are pushed", task.get_coro(), exc_info=error)
