"""The settings of the local stack, and what it reports once it runs."""

from collections.abc import Iterator
from typing import Literal

import msgspec


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push subscription, as resource ids: what it delivers where, and where its dead letters go ("": nowhere)."""

    topic: str
    subscription: str
    endpoint: str
    dead_letter_topic: str


def of_stream(name: str, stream: str) -> str:
    """Return the id of the stream's own topic or subscription; `name` is that of the shared one."""
    return f"{name}.{stream}"


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of `sluice pubsub`; resource ids, not full names.

    Each of `streams` has a topic of its own, pushed to a path of its own, beside the one that all of them share.
    """

    host: str = "127.0.0.1"
    port: int = 8085
    issuer_port: int = 8086
    project: str = "sluice-local"
    topic: str = "events"
    subscription: str = "events-push"
    push_endpoint: str = "http://127.0.0.1:8080/pubsub/push"
    audience: str = "sluice"
    principal: str = "pusher@sluice-local.iam.gserviceaccount.com"
    ack_deadline_s: int = 60
    max_attempts: int = 100
    dead_letter_topic: str = "events-dead"
    min_backoff_s: float = 0.1
    max_backoff_s: float = 60.0
    max_outstanding: int = 256
    ordering: bool = False
    streams: tuple[str, ...] = ()

    @property
    def shared(self) -> Push:
        """The subscription whose messages name their stream themselves; the only one if there are no streams."""
        return Push(
            topic=self.topic,
            subscription=self.subscription,
            endpoint=self.push_endpoint,
            dead_letter_topic=self.dead_letter_topic,
        )

    @property
    def pushes(self) -> Iterator[tuple[str, Push]]:
        """All push subscriptions with their streams, the shared one first, whose stream is empty."""
        yield "", self.shared
        for stream in self.streams:
            yield (
                stream,
                Push(
                    topic=of_stream(self.topic, stream),
                    subscription=of_stream(self.subscription, stream),
                    endpoint=f"{self.push_endpoint}/{stream}",
                    dead_letter_topic=self.dead_letter_topic and of_stream(self.dead_letter_topic, stream),
                ),
            )

    def topic_name(self, topic_id: str) -> str:
        """Return a topic's full resource name."""
        return f"projects/{self.project}/topics/{topic_id}"

    def subscription_name(self, subscription_id: str) -> str:
        """Return a subscription's full resource name."""
        return f"projects/{self.project}/subscriptions/{subscription_id}"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What is running, as printed on the one line of standard output."""

    ready: Literal[True] = True
    pubsub: str
    issuer: str
    keys_url: str
    audience: str
    principal: str
    topic: str
    subscription: str
    project: str
