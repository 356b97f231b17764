"""Dead letter and back again."""

import asyncio

import pytest
from google.api_core.exceptions import InvalidArgument

import sluice.ops.redrive
from sluice.__main__ import main
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.stack import create
from sluice.local.stack_settings import DEAD_LETTERS, StackSettings, topic_name
from tests.local.conftest import TOPIC
from tests.local.endpoint import TIMEOUT_S

DEAD = "projects/sluice-local/topics/events-dead"
DEAD_NAME = "projects/sluice-local/subscriptions/events-dead-sub"
NAME = "projects/sluice-local/subscriptions/events-push"

pytestmark = pytest.mark.usefixtures("pubsub_host")


@pytest.fixture
def dead_broker(live_broker: Broker) -> Broker:
    """A broker with three messages in the dead-letter topic's subscription, one of them ordered."""
    for topic in (TOPIC, DEAD):
        live_broker.create_topic(topic)
    live_broker.create_subscription(SubscriptionSettings(name=DEAD_NAME, topic=DEAD))
    live_broker.create_subscription(
        SubscriptionSettings(name=NAME, topic=TOPIC, dead_letter_topic=DEAD, max_attempts=1)
    )
    live_broker.publish(TOPIC, [Draft(b"1", {"k": "v"}), Draft(b"2", {}, "key"), Draft(b"3")])
    fail_all(live_broker)
    assert live_broker.subscription(DEAD_NAME).backlog == 3
    return live_broker


def fail_all(broker: Broker) -> None:
    """Nack everything once, which here dead-letters it."""
    for delivery in broker.pull(NAME, 100):
        broker.nack(NAME, delivery.ack_id)


async def redrive(*arguments: str) -> int:
    """Run `sluice redrive` beside the server."""
    return await asyncio.to_thread(main, ["redrive", "--wait-s", str(TIMEOUT_S), *arguments])


async def test_the_round_trip_restores_every_message(dead_broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    """Data, attributes and ordering key come back as published, without the dead-letter marks."""
    assert await redrive("--wait-s", "1") == 0, "it ends by itself when nothing is left"
    assert capsys.readouterr().out == f"moved 3 messages from {DEAD_NAME} to {TOPIC}\n"
    back = [(d.message.data, d.message.attributes, d.message.ordering_key) for d in dead_broker.pull(NAME, 100)]
    assert sorted(back, key=lambda one: one[0]) == [(b"1", {"k": "v"}, ""), (b"2", {}, "key"), (b"3", {}, "")]
    assert dead_broker.subscription(DEAD_NAME).backlog == 0


async def test_a_stream_has_dead_letters_of_its_own(live_broker: Broker) -> None:
    """Those of the stack's stream return to its own topic, whose push names the stream."""
    name = create(live_broker, StackSettings(), "flights")
    named = ("--subscription", "events-dead.flights-sub", "--topic", "events.flights")
    live_broker.publish(topic_name(DEAD_LETTERS, "flights"), [Draft(b"1")])
    assert await redrive(*named, "--max", "1") == 0
    assert [delivery.message.data for delivery in live_broker.pull(name, 10)] == [b"1"]


async def test_nothing_is_acknowledged_before_it_is_published(
    dead_broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When publishing fails, the messages stay in the dead-letter subscription."""

    def refuse(*_: object) -> None:
        raise InvalidArgument("no")  # type: ignore[no-untyped-call] # the library's constructor

    monkeypatch.setattr(sluice.ops.redrive, "publish", refuse)
    assert await redrive() == 1
    assert dead_broker.subscription(DEAD_NAME).backlog == 3
    assert "moved 0 messages" in capsys.readouterr().err
