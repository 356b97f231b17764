"""`sluice canary`: publish a sample record that only measures how long it takes until the feed shows it.

The record is the record type's example. With streams it belongs to the default one, which the
attribute `stream` says to whatever topic it is published. The attribute `sluice-heartbeat`, signed with the
service's secret, keeps it out of reads. In the cloud, Cloud Scheduler publishes the same message.
"""

import argparse
import sys

import msgspec

from app.record import RecordTypeError
from app.schema.record_json import example_record
from app.schema.table import Table
from app.streams import ATTRIBUTE
from sluice.local.clients import CALL_ERRORS, add_pubsub_arguments, complain, publish, publisher, topic_path
from sluice.local.declared import add_declared_arguments, declared_by
from sluice.local.pubsub.message import Draft
from sluice.local.reasons import reason
from sluice.local.signing import SecretError, add_secret_argument, canary_attributes


class SampleError(Exception):
    """There is no sample to publish; the message says why, and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--topic", default="events", help="topic id or full name (default: %(default)s)")
    add_declared_arguments(parser)
    parser.add_argument(
        "--print", action="store_true", dest="only_print", help=("print the record without publishing it")
    )
    add_secret_argument(parser)
    add_pubsub_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Publish, and return 0 if Pub/Sub accepted it."""
    try:
        streams = declared_by(args).load()
        data = sample(streams.default.table)
        if args.only_print:
            print(data.decode())
            return 0
        attributes = canary_attributes(args.secret_file, is_local=args.pubsub_host != "google")
        if streams.are_named:
            attributes[ATTRIBUTE] = streams.default.name
    except (SampleError, SecretError, RecordTypeError, OSError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    topic = topic_path(args.project, args.topic)
    try:
        with publisher(args.pubsub_host) as client:
            publish(client, topic, [Draft(data, attributes, "")])
    except CALL_ERRORS as error:
        return complain(args.pubsub_host, error)
    print(f"published a canary to {topic}")
    return 0


def sample(table: Table) -> bytes:
    """Return the example of the table's record type.

    Raises:
        SampleError: none can be derived from the type's constraints.
    """
    example = example_record(table)
    if example is None:
        name = f"{table.record_type.__module__}:{table.record_type.__name__}"
        raise SampleError(f"cannot derive a valid example of {name}: declare `examples` of its fields")
    return msgspec.json.encode(example)
