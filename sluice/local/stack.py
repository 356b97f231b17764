"""Wire the local Pub/Sub, the issuer and the pusher together, and shut them down again."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from app.runtime.clock import SystemClock
from sluice.local.control import control_app
from sluice.local.flow import PushFlow
from sluice.local.issuer import Issuer
from sluice.local.ports import HOST
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.grpc_api import serving_grpc
from sluice.local.pubsub.service import PubsubService
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.pusher import Pusher
from sluice.local.stack_settings import AUDIENCE, PRINCIPAL, Push, Ready, StackSettings

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
    service = PubsubService(broker)
    async with AsyncExitStack() as stack:
        # Bound first: the address is in the tokens, and a port conflict shows before anything else starts.
        listener = stack.enter_context(socket.create_server((HOST, settings.issuer_port)))
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        issuer = Issuer(url)
        token = partial(issuer.token, AUDIENCE, PRINCIPAL)
        pushers = [Pusher(broker, create(broker, settings, each), token, _flow(settings)) for each in settings.pushes]
        port = await stack.enter_async_context(serving_grpc(service, settings.port))
        control = web.AppRunner(control_app(issuer, service), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await control.setup()
        stack.push_async_callback(control.cleanup)
        await web.SockSite(control, listener).start()
        pushing = [asyncio.create_task(pusher.run()) for pusher in pushers]
        stack.push_async_callback(asyncio.wait, pushing)
        for task in pushing:
            task.add_done_callback(_report_failure)
            stack.callback(task.cancel)
        yield Ready(
            pubsub=f"{HOST}:{port}",
            issuer=url,
            keys_url=f"{url}/certs",
            topic=settings.topic,
            subscription=settings.subscription,
            project=settings.project,
        )


def _flow(settings: StackSettings) -> PushFlow:
    return PushFlow(max_backoff_s=settings.max_backoff_s, max_window=settings.max_outstanding)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.critical("%s ended: no more messages are pushed", task.get_coro(), exc_info=error)


def create(broker: Broker, settings: StackSettings, push: Push) -> str:
    """Create a push subscription with its topics; return its full name."""
    name, dead_letters = settings.subscription_name(push.subscription), settings.topic_name(push.dead_letter_topic)
    topic, kept = settings.topic_name(push.topic), settings.subscription_name(f"{push.dead_letter_topic}-sub")
    broker.create_topic(topic)
    broker.create_topic(dead_letters)
    broker.create_subscription(SubscriptionSettings(name=kept, topic=dead_letters))
    broker.create_subscription(
        SubscriptionSettings(
            name=name,
            topic=topic,
            ack_deadline_s=settings.ack_deadline_s,
            dead_letter_topic=dead_letters,
            max_attempts=settings.max_attempts,
            push_endpoint=push.endpoint,
        )
    )
    return name
