"""The settings of the local stack, and what it reports once it runs."""

from collections.abc import Iterator

import msgspec

AUDIENCE, PRINCIPAL = "sluice", "pusher@sluice-local.iam.gserviceaccount.com"
"""The claims `aud` and `email` of the pusher's tokens."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push subscription, as resource ids: what it delivers where, and where its dead letters go."""

    topic: str
    subscription: str
    endpoint: str
    dead_letter_topic: str


def of_stream(name: str, stream: str) -> str:
    """Return the id of the stream's own topic or subscription; `name` is that of the shared one."""
    return f"{name}.{stream}" if stream else name


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of `sluice pubsub`; resource ids, not full names.

    Each of `streams` has a topic of its own, pushed to a path of its own, beside the one that all of them share.
    """

    port: int = 8085
    issuer_port: int = 8086
    project: str = "sluice-local"
    topic: str = "events"
    subscription: str = "events-push"
    push_endpoint: str = "http://127.0.0.1:8080/pubsub/push"
    ack_deadline_s: int = 60
    max_attempts: int = 100
    dead_letter_topic: str = "events-dead"
    max_backoff_s: float = 60.0
    max_outstanding: int = 256
    streams: tuple[str, ...] = ()

    @property
    def pushes(self) -> Iterator[Push]:
        """All push subscriptions: the shared one, whose messages name their stream themselves, and the streams' own."""
        yield self.push_of("")
        yield from map(self.push_of, self.streams)

    def push_of(self, stream: str) -> Push:
        """Return the push subscription of a stream; "" for the shared one."""
        return Push(
            topic=of_stream(self.topic, stream),
            subscription=of_stream(self.subscription, stream),
            endpoint=f"{self.push_endpoint}/{stream}" if stream else self.push_endpoint,
            dead_letter_topic=of_stream(self.dead_letter_topic, stream),
        )

    def topic_name(self, topic_id: str) -> str:
        """Return a topic's full resource name."""
        return f"projects/{self.project}/topics/{topic_id}"

    def subscription_name(self, subscription_id: str) -> str:
        """Return a subscription's full resource name."""
        return f"projects/{self.project}/subscriptions/{subscription_id}"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What is running, as printed on the one line of standard output."""

    pubsub: str
    """HOST:PORT of gRPC, for PUBSUB_EMULATOR_HOST."""
    issuer: str
    """The URL of the issuer, the backlogs and the REST API."""
    keys_url: str
    audience: str = AUDIENCE
    principal: str = PRINCIPAL
    topic: str
    subscription: str
    project: str
