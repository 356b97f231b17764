"""Clients of google-cloud-pubsub, for the real service or for the one PUBSUB_EMULATOR_HOST names.

They are the plain generated clients, not the batching ones: the batching `publish` takes attributes as keyword
arguments, so it cannot send an attribute called `data` or `topic`. With these, one call is one request, and when it
returns, the messages are accepted.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

import grpc
from google.api_core.exceptions import (
    DeadlineExceeded,
    GoogleAPICallError,
    NotFound,
    RetryError,
    ServiceUnavailable,
)
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from sluice.local.pubsub.message import Draft
from sluice.local.stack_settings import PROJECT

CALL_TIMEOUT_S = 10.0
EMULATOR_VARIABLE = "PUBSUB_EMULATOR_HOST"
LOCAL_ADDRESS = "127.0.0.1:8085"

RETRY = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.1, maximum=1.0, timeout=CALL_TIMEOUT_S / 2)
"""For a Pub/Sub that is still starting; the clients' own retries last ten minutes."""
CallError = GoogleAPICallError | RetryError | DefaultCredentialsError
CALL_ERRORS = (GoogleAPICallError, RetryError, DefaultCredentialsError)

# Half of the service's 10 MB, which counts attributes and protocol overhead, too.
MAX_REQUEST_BYTES = 5_000_000
MAX_REQUEST_MESSAGES = 500

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def add_pubsub_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --project and --pubsub-host."""
    parser.add_argument("--project", default=PROJECT, help="project id (default: %(default)s)")
    parser.add_argument(
        "--pubsub-host",
        metavar="HOST:PORT",
        default=os.environ.get(EMULATOR_VARIABLE) or LOCAL_ADDRESS,
        help=f"the local Pub/Sub (default: ${EMULATOR_VARIABLE}, else {LOCAL_ADDRESS}); "
        "'google' for the real service, with your application default credentials",
    )


def publisher(pubsub_host: str) -> PublisherClient:
    """Return a client of `host:port`, or of the real service for `google`."""
    if pubsub_host == "google":
        return PublisherClient()
    return PublisherClient(transport=PublisherGrpcTransport(channel=_channel(pubsub_host)))


def subscriber(pubsub_host: str) -> SubscriberClient:
    """Return a client of `host:port`, or of the real service for `google`."""
    if pubsub_host == "google":
        return SubscriberClient()
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=_channel(pubsub_host)))


def complain(pubsub_host: str, error: CallError) -> int:
    """Print why a call failed and what to do about it; return the exit status, 1."""
    match error:
        case ServiceUnavailable() | RetryError() | DeadlineExceeded():
            where = "Google" if pubsub_host == "google" else pubsub_host
            hint = "" if pubsub_host == "google" else "; `sluice pubsub` starts a local one"
            text = f"Pub/Sub does not answer at {where}{hint}"
        case NotFound():
            text = f"{error.message}"
        case GoogleAPICallError():
            text = f"{error.code or ''} {error.message}".strip()
        case _:
            text = str(error)
    print(f"error: {text}", file=sys.stderr)
    return 1


def _channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)


def publish(client: PublisherClient, topic: str, drafts: Sequence[Draft]) -> Sequence[str]:
    """Publish in one request; when it returns, all of `drafts` are accepted, under these ids.

    Raises google.api_core.exceptions.GoogleAPICallError if none is.
    """
    messages = [
        PubsubMessage(data=draft.data, attributes=draft.attributes, ordering_key=draft.ordering_key) for draft in drafts
    ]
    return client.publish(topic=topic, messages=messages, retry=RETRY, timeout=CALL_TIMEOUT_S).message_ids


def topic_path(project: str, topic: str) -> str:
    """Return the full resource name of a topic given by id or by full name."""
    return topic if topic.startswith("projects/") else f"projects/{project}/topics/{topic}"


def publish_batches(
    drafts: Iterable[Draft],
    max_messages: int = MAX_REQUEST_MESSAGES,
    max_bytes: int = MAX_REQUEST_BYTES,
) -> Iterator[list[Draft]]:
    """Yield lists of messages, in order, with one ordering key per list.

    A request must not mix ordering keys, as the service requires; a message above `max_bytes` goes alone.
    """
    batch: list[Draft] = []
    size = 0
    for draft in drafts:
        draft_bytes = len(draft.data)
        full = len(batch) >= max_messages or size + draft_bytes > max_bytes
        if batch and (full or batch[0].ordering_key != draft.ordering_key):
            yield batch
            batch, size = [], 0
        batch.append(draft)
        size += draft_bytes
    if batch:
        yield batch
