"""The settings of the local stack, its names, and what it reports once it runs."""

import msgspec

AUDIENCE, PRINCIPAL = "sluice", "pusher@sluice-local.iam.gserviceaccount.com"
"""The claims `aud` and `email` of the pusher's tokens."""
PROJECT, TOPIC, SUBSCRIPTION, DEAD_LETTERS = "sluice-local", "events", "events-push", "events-dead"
"""Resource ids: of the project, of what all streams share, and of the topic for dead letters."""


def of_stream(name: str, stream: str) -> str:
    """Return the id of the stream's own topic or subscription; `name` is that of the shared one."""
    return f"{name}.{stream}" if stream else name


def topic_name(name: str = TOPIC, stream: str = "") -> str:
    """Return a topic's full resource name."""
    return f"projects/{PROJECT}/topics/{of_stream(name, stream)}"


def subscription_name(name: str = SUBSCRIPTION, stream: str = "") -> str:
    """Return a subscription's full resource name."""
    return f"projects/{PROJECT}/subscriptions/{of_stream(name, stream)}"


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of `sluice pubsub`.

    Each of `streams` has a topic of its own, pushed to a path of its own, beside the one that all of them share.
    """

    port: int = 8085
    issuer_port: int = 8086
    push_endpoint: str = "http://127.0.0.1:8080/pubsub/push"
    max_attempts: int = 100
    max_backoff_s: float = 60.0
    max_outstanding: int = 256
    streams: tuple[str, ...] = ()


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What is running, as printed on the one line of standard output."""

    pubsub: str
    """HOST:PORT of gRPC, for PUBSUB_EMULATOR_HOST."""
    issuer: str
    """The URL of the issuer, the backlogs and the REST API."""
    keys_url: str
    audience: str = AUDIENCE
    principal: str = PRINCIPAL
    topic: str = TOPIC
    subscription: str = SUBSCRIPTION
    project: str = PROJECT
