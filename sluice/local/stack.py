"""Wire the local Pub/Sub, the issuer and the pusher together, and shut them down again."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

from aiohttp import web

from app.runtime.clock import Clock, SystemClock
from sluice.local.control import TokenDefaults, control_app
from sluice.local.flow import PushFlow
from sluice.local.issuer import Issuer
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.server import PubsubServer
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.push_request import wrapped
from sluice.local.pusher import Pusher
from sluice.local.pushers import Pushers
from sluice.local.source import LocalSource
from sluice.local.stack_settings import Push, Ready, StackSettings

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running(settings: StackSettings) -> AsyncIterator[Ready]:
    """Start everything, yield its addresses, and stop it.

    Raises:
        OSError: a port is in use.
        PubsubError: a name breaks the naming rules.
    """
    clock, issuer = SystemClock(), Issuer()
    async with contextlib.AsyncExitStack() as stack:
        # Bound first: the address is in the tokens, and a port conflict shows before anything else starts.
        listener = stack.enter_context(socket.create_server((settings.host, settings.issuer_port)))
        issuer_url = f"http://{settings.host}:{listener.getsockname()[1]}"
        address, sources, broker = await stack.enter_async_context(_local(settings, clock))
        defaults = TokenDefaults(issuer_url, settings.audience, settings.principal)
        shared, *own = (
            _pusher(settings, push, source, lambda: issuer.token(issuer_url, settings.audience, settings.principal))
            for (_, push), source in zip(settings.pushes, sources, strict=True)
        )
        pushers = Pushers(shared, dict(zip(settings.streams, own, strict=True)))
        _follow_updates(broker, settings, (shared, *own), sources)
        app = control_app(issuer, defaults, pushers, broker.backlogs)
        control = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await control.setup()
        stack.push_async_callback(control.cleanup)
        await web.SockSite(control, listener).start()
        await stack.enter_async_context(_background(pushers.run()))
        yield Ready(
            pubsub=address,
            issuer=issuer_url,
            keys_url=f"{issuer_url}/certs",
            audience=settings.audience,
            principal=settings.principal,
            topic=settings.topic,
            subscription=settings.subscription,
            project=settings.project,
        )


def _pusher(settings: StackSettings, push: Push, source: LocalSource, token: Callable[[], str]) -> Pusher:
    return Pusher(
        source=source,
        endpoint=push.endpoint,
        build=wrapped(settings.subscription_name(push.subscription), with_attempt=bool(push.dead_letter_topic)),
        token=token,
        flow=PushFlow(
            min_backoff_s=settings.min_backoff_s,
            max_backoff_s=settings.max_backoff_s,
            max_window=settings.max_outstanding,
        ),
        ack_deadline_s=settings.ack_deadline_s,
    )


def _follow_updates(
    broker: Broker, settings: StackSettings, pushers: Sequence[Pusher], sources: Sequence[LocalSource]
) -> None:
    """Let each pusher apply what UpdateSubscription and ModifyPushConfig change."""
    for (_, push), pusher, source in zip(settings.pushes, pushers, sources, strict=True):

        def apply(changed: SubscriptionSettings, pusher: Pusher = pusher, source: LocalSource = source) -> None:
            if changed.push_endpoint != pusher.endpoint:
                pusher.set_endpoint(changed.push_endpoint)
            pusher.set_ack_deadline(changed.ack_deadline_s)
            source.set_ack_deadline(changed.ack_deadline_s)

        broker.on_update[settings.subscription_name(push.subscription)] = apply


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` concurrently with the body; the end of the body cancels it."""
    task = asyncio.create_task(work)
    task.add_done_callback(_report_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.critical("%s ended: no more messages are pushed", task.get_coro(), exc_info=error)


@contextlib.asynccontextmanager
async def _local(settings: StackSettings, clock: Clock) -> AsyncIterator[tuple[str, Sequence[LocalSource], Broker]]:
    broker = Broker(clock.now_us)
    names = [create(broker, settings, push) for _, push in settings.pushes]
    server = PubsubServer(broker)
    try:
        port = await server.start(settings.host, settings.port)
        sources = [LocalSource(broker, name, settings.ack_deadline_s) for name in names]
        yield f"{settings.host}:{port}", sources, broker
    finally:
        await server.close()


def create(broker: Broker, settings: StackSettings, push: Push) -> str:
    """Create a push subscription with its topics; return its full name."""
    subscription = SubscriptionSettings(
        name=settings.subscription_name(push.subscription),
        topic=settings.topic_name(push.topic),
        ack_deadline_s=settings.ack_deadline_s,
        ordering=settings.ordering,
        dead_letter_topic=push.dead_letter_topic and settings.topic_name(push.dead_letter_topic),
        max_attempts=settings.max_attempts,
        push_endpoint=push.endpoint,
    )
    broker.create_topic(subscription.topic)
    if subscription.dead_letter_topic:
        broker.create_topic(subscription.dead_letter_topic)
        dead = settings.subscription_name(f"{push.dead_letter_topic}-sub")
        broker.create_subscription(
            SubscriptionSettings(name=dead, topic=subscription.dead_letter_topic, ordering=settings.ordering)
        )
    broker.create_subscription(subscription)
    return subscription.name
