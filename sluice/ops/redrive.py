"""`sluice redrive`: move dead-lettered messages back to the topic they came from.

It uses only the public API, so it works with the local Pub/Sub, the emulator and the real service. A message is
acknowledged only after its copy was accepted: an interruption may repeat some messages, but loses none. It goes back to
the topic that it came from, whose path or subscription may tell its stream.
"""

import argparse
import sys

from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import ReceivedMessage

from sluice.local.clients import (
    CALL_ERRORS,
    CALL_TIMEOUT_S,
    RETRY,
    add_pubsub_arguments,
    complain,
    publish,
    publish_batches,
    publisher,
    subscriber,
    topic_path,
)
from sluice.local.pubsub.message import Draft
from sluice.local.stack_settings import DEAD_LETTERS, TOPIC

DEAD_LETTER_PREFIX = "CloudPubSubDeadLetterSource"
_PULL_MESSAGES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--subscription",
        help="subscription of the dead-letter topic, id or full name (default: the local one)",
    )
    parser.add_argument("--topic", help="where the messages go, id or full name (default: the local one)")
    parser.add_argument("--max", type=int, default=0, metavar="N", help="stop after N messages (default: all)")
    parser.add_argument(
        "--wait-s", type=float, default=3.0, help=("stop when no message arrives for this long (default: %(default)s)")
    )
    add_pubsub_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Move the messages and print how many; return 1 if Pub/Sub refused something."""
    source = args.subscription or f"{DEAD_LETTERS}-sub"
    if not source.startswith("projects/"):
        source = f"projects/{args.project}/subscriptions/{source}"
    topic = topic_path(args.project, args.topic or TOPIC)
    moved = 0
    try:
        with subscriber(args.pubsub_host) as pulled_from, publisher(args.pubsub_host) as published_to:
            while not args.max or moved < args.max:
                count = min(_PULL_MESSAGES, args.max - moved) if args.max else _PULL_MESSAGES
                received = _pull(pulled_from, source, count, args.wait_s)
                if not received:
                    break
                moved += _move(pulled_from, published_to, source, topic, received)
    except CALL_ERRORS as error:
        print(f"moved {moved} messages from {source} to {topic}, then:", file=sys.stderr)
        return complain(args.pubsub_host, error)
    print(f"moved {moved} messages from {source} to {topic}")
    return 0


def without_dead_letter_marks(attributes: dict[str, str]) -> dict[str, str]:
    """Return the publisher's attributes, without those that dead-letter forwarding added."""
    return {key: value for key, value in attributes.items() if not key.startswith(DEAD_LETTER_PREFIX)}


def _pull(client: SubscriberClient, source: str, count: int, wait_s: float) -> list[ReceivedMessage]:
    try:
        answer = client.pull(subscription=source, max_messages=count, retry=RETRY, timeout=wait_s)
    except DeadlineExceeded:
        return []
    return list(answer.received_messages)


def _move(
    pulled_from: SubscriberClient,
    published_to: PublisherClient,
    source: str,
    topic: str,
    received: list[ReceivedMessage],
) -> int:
    drafts = [
        Draft(r.message.data, without_dead_letter_marks(dict(r.message.attributes)), r.message.ordering_key)
        for r in received
    ]
    ack_ids = iter([r.ack_id for r in received])
    moved = 0
    for batch in publish_batches(drafts):
        publish(published_to, topic, batch)
        settled = [next(ack_ids) for _ in batch]
        pulled_from.acknowledge(subscription=source, ack_ids=settled, retry=RETRY, timeout=CALL_TIMEOUT_S)
        moved += len(batch)
    return moved
