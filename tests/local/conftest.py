import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from app.runtime.clock import SystemClock
from sluice.local.pubsub.api import serving_grpc
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.subscription import SubscriptionSettings
from tests.local.endpoint import TIMEOUT_S, Endpoint, serving

TOPIC = "projects/sluice-local/topics/events"
SUBSCRIPTION = "projects/sluice-local/subscriptions/events-pull"
SECRET = "what this deployment signs with"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a socket that child processes connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        yield server


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """Serve a push endpoint that stores everything, until told otherwise."""
    async with serving() as served:
        yield served


@pytest.fixture
def live_broker() -> Broker:
    """Return an empty broker on the system's clock."""
    return Broker(SystemClock().now_us)


@pytest.fixture
def subscribed(live_broker: Broker) -> Broker:
    """Return a broker with a topic and a pull subscription, which keeps what is published."""
    live_broker.create_topic(TOPIC)
    live_broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC))
    return live_broker


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the secret that canaries and replays are signed with into the environment."""
    monkeypatch.setenv("SLUICE_SIGNING_SECRET", SECRET)


@pytest.fixture
async def pubsub_host(live_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of a local Pub/Sub in this process, which google-cloud-pubsub's clients will use."""
    async with serving_grpc(live_broker, 0) as port:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
        monkeypatch.setenv("PUBSUB_PROJECT_ID", "sluice-local")
        yield f"127.0.0.1:{port}"
