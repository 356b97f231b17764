"""`sluice canary`: what it publishes is valid, and marked."""

import asyncio

import msgspec
import pytest

from app.auth.signatures import canary_signature
from app.record import Record
from sluice.__main__ import main
from sluice.local.pubsub.broker import Broker
from tests.local.conftest import SECRET, SUBSCRIPTION, TOPIC
from tests.streams.market import Order
from tests.streams.service import MARKET

STREAMS = MARKET.store.streams

pytestmark = pytest.mark.usefixtures("pubsub_host", "signing")


async def beat(*arguments: str) -> int:
    """Run the command beside the server."""
    return await asyncio.to_thread(main, ["canary", *arguments])


async def test_a_valid_record_is_published_with_the_mark(
    subscribed: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record type's example."""
    assert await beat() == 0
    assert capsys.readouterr().out == f"published a canary to {TOPIC}\n"
    (delivery,) = subscribed.pull(SUBSCRIPTION, 10)
    assert delivery.message.attributes == {"sluice-heartbeat": "1", "sluice-signature": canary_signature(SECRET)}
    assert msgspec.json.decode(delivery.message.data, type=Record).id == "order-1042"


async def test_with_streams_it_belongs_to_the_default_one(
    subscribed: Broker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is of that type, and an attribute names the stream, whose topic it need not be published to."""
    monkeypatch.setenv("SLUICE_STREAMS", STREAMS)
    assert await beat() == 0
    (delivery,) = subscribed.pull(SUBSCRIPTION, 10)
    assert delivery.message.attributes["stream"] == "orders"
    assert msgspec.json.decode(delivery.message.data, type=Order).kind == "order"
    capsys.readouterr()
    assert await beat("--print", "--record", "app.record:Record") == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Record).id == "order-1042", "an option goes before"
