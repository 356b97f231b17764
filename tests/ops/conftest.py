"""A local Pub/Sub for the commands that publish: the fixtures of tests/local."""

from tests.local.conftest import live_broker, pubsub_host, signing, subscribed

__all__ = ["live_broker", "pubsub_host", "signing", "subscribed"]
