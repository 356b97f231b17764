"""The local Pub/Sub tells its backlog, drops what is older than the retention, and lets a subscription be updated."""

import argparse
import asyncio
from typing import Any

import aiohttp
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import SubscriberClient
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import PushConfig, Subscription

from sluice.local.clients import publish, publisher
from sluice.local.pubsub import command
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.stack import running
from sluice.local.stack_settings import StackSettings
from tests.local.clock import ManualClock
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.local.endpoint import TIMEOUT_S, Endpoint

DAY_S = 86_400


def test_a_backlog_has_its_size_and_the_age_of_its_oldest_message(broker: Broker, clock: ManualClock) -> None:
    """An acknowledgement takes a message out of both, whichever it was."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC))
    (empty,) = broker.backlogs()
    assert (empty.num_undelivered_messages, empty.oldest_unacked_message_age) == (0, 0)
    for _ in range(3):
        broker.publish(TOPIC, [Draft(b"x")])
        clock.advance(5)
    first, *_ = broker.pull(SUBSCRIPTION, 1)
    assert broker.backlogs()[0].oldest_unacked_message_age == 15, "leased is not acknowledged"
    broker.acknowledge(SUBSCRIPTION, [first.ack_id])
    (left,) = broker.backlogs()
    assert (left.num_undelivered_messages, left.oldest_unacked_message_age) == (2, 10)


def test_what_is_older_than_the_retention_is_dropped(broker: Broker, clock: ManualClock) -> None:
    """Ready, leased or given back; what came later is delivered, in order."""
    made = SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, retention_s=600)
    broker.create_subscription(made)
    broker.publish(TOPIC, [Draft(b"old %d" % n) for n in range(4)])
    pulled = broker.pull(SUBSCRIPTION, 2, lease_s=600)
    broker.modify_ack_deadline(SUBSCRIPTION, [pulled[0].ack_id], 0)
    clock.advance(599)
    broker.publish(TOPIC, [Draft(b"young %d" % n) for n in range(2)])
    assert broker.backlogs()[0].expired_message_count == 0
    clock.advance(1)
    (found,) = broker.backlogs()
    assert (found.expired_message_count, found.num_undelivered_messages) == (4, 2)
    seen = []
    while got := broker.pull(SUBSCRIPTION, 10):
        seen += [each.message.data for each in got]
        broker.acknowledge(SUBSCRIPTION, [each.ack_id for each in got])
    assert seen == [b"young 0", b"young 1"]
    clock.advance(1_000)
    assert broker.pull(SUBSCRIPTION, 10) == [], "nothing that was given back comes again"
    assert broker.backlogs()[0].num_undelivered_messages == 0


def test_a_longer_retention_saves_what_is_there(broker: Broker, clock: ManualClock) -> None:
    """It counts from the publication, so it may be extended until the last moment."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, retention_s=600))
    broker.publish(TOPIC, [Draft(b"x")])
    clock.advance(599)
    broker.update_subscription(SUBSCRIPTION, {"retention_s": DAY_S})
    clock.advance(DAY_S - 600)
    assert [each.message.data for each in broker.pull(SUBSCRIPTION, 10)] == [b"x"]


@pytest.mark.usefixtures("subscribed", "pubsub_host")
async def test_googles_client_updates_a_subscription() -> None:
    """The fields of the mask change, the others do not, and what is out of range or not there is refused."""

    def talk() -> None:
        with SubscriberClient() as client:

            def change(paths: list[str], **fields: Any) -> Any:
                wanted = Subscription(name=SUBSCRIPTION, **fields)
                return client.update_subscription(request={"subscription": wanted, "update_mask": {"paths": paths}})

            month = Duration(seconds=31 * DAY_S)
            found = change(["message_retention_duration"], message_retention_duration=month, ack_deadline_seconds=99)
            assert (found.message_retention_duration.days, found.ack_deadline_seconds) == (31, 10)
            found = change(["ack_deadline_seconds"], ack_deadline_seconds=20)
            assert found.ack_deadline_seconds == 20
            assert client.get_subscription(subscription=SUBSCRIPTION) == found
            for paths, fields, refusal in (
                (["message_retention_duration"], {"message_retention_duration": Duration(seconds=599)}, "InvalidArg"),
                (["ack_deadline_seconds"], {"ack_deadline_seconds": 9}, "InvalidArg"),
                ([], {"ack_deadline_seconds": 20}, "InvalidArg"),
                (["filter"], {"filter": "x"}, "MethodNotImpl"),
                (["retain_acked_messages"], {"retain_acked_messages": True}, "MethodNotImpl"),
                (["push_config"], {"push_config": PushConfig(push_endpoint="http://127.0.0.1:1/")}, "MethodNotImpl"),
            ):
                with pytest.raises(exceptions.GoogleAPICallError) as refused:
                    change(paths, **fields)
                assert type(refused.value).__name__.startswith(refusal), paths
            assert client.get_subscription(subscription=SUBSCRIPTION) == found
            client.modify_push_config(subscription=SUBSCRIPTION, push_config=PushConfig())

    await asyncio.to_thread(talk)


async def test_rest_updates_a_subscription(subscribed: Broker, rest_url: str) -> None:
    """With the names of JSON, in the body and in the mask, as `gcloud` sends them."""
    body = {"subscription": {"messageRetentionDuration": "864000s"}, "updateMask": "messageRetentionDuration"}
    async with aiohttp.ClientSession(rest_url) as http:
        async with http.patch(f"v1/{SUBSCRIPTION}", json=body) as answer:
            assert (answer.status, (await answer.json())["messageRetentionDuration"]) == (200, "864000s")
        async with http.post(f"v1/{SUBSCRIPTION}:modifyPushConfig", json={"pushConfig": {}}) as answer:
            assert (answer.status, await answer.json()) == (200, {})
    assert subscribed.subscription(SUBSCRIPTION).settings.retention_s == 10 * DAY_S


def run(*arguments: str) -> int:
    """Run `sluice pubsub`."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


async def test_pushes_are_paused_and_resumed_by_command(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Meanwhile the backlog grows, which `status` prints, and nothing is pushed."""
    settings = StackSettings(port=0, issuer_port=0, push_endpoint=endpoint.url)
    async with running(settings) as ready:
        at = ("--pubsub-host", ready.pubsub)
        assert await asyncio.to_thread(run, "update", "--push-endpoint", "", *at) == 0
        with publisher(ready.pubsub) as client:
            await asyncio.to_thread(publish, client, settings.topic_name("events"), [Draft(b"1"), Draft(b"2")])
        assert await asyncio.to_thread(run, "status", "--control", ready.issuer) == 0
        assert "events-push: num_undelivered_messages 2," in capsys.readouterr().out
        retention = ("--message-retention-duration", "31d", "--ack-deadline", "30")
        assert await asyncio.to_thread(run, "update", *retention, *at) == 0
        assert endpoint.pushes == []
        assert await asyncio.to_thread(run, "update", "--push-endpoint", endpoint.url, *at) == 0
        assert len(await endpoint.received(2)) == 2
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                await asyncio.to_thread(run, "status", "--control", ready.issuer)
                if "num_undelivered_messages 0, oldest_unacked_message_age 0 s" in (told := capsys.readouterr().out):
                    break
        assert f"retention {31 * DAY_S} s, expired 0, pushed to {endpoint.url}" in told
    assert await asyncio.to_thread(run, "status", "--control", ready.issuer) == 1, "nothing is there any longer"
    assert await asyncio.to_thread(run, "update") == 2, "nothing is to be changed"
