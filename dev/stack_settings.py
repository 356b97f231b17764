"""The settings of the local stack, and what it reports once it runs."""

from typing import Literal

import msgspec


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of `python -m dev pubsub`; resource ids, not full names."""

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
    unwrapped: bool = False
    ordering: bool = False
    backend: Literal["local", "emulator"] = "local"

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
