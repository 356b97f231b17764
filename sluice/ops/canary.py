"""`sluice canary`: publish a sample record that only measures how long it takes until the feed shows it.

The record is the record type's example, or comes from a file. With streams it belongs to the default one, which the
attribute `stream` says to whatever topic it is published. The attribute `sluice-heartbeat`, signed with the
service's secret, keeps it out of reads. In the cloud, Cloud Scheduler publishes the same message.
"""

import argparse
import sys
from pathlib import Path
from threading import Event

import msgspec

from app.record import RecordTypeError
from app.schema.example import example_record
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
    parser.add_argument("--data", metavar="FILE", help="publish the record in this file, which must be valid")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="publish repeatedly, until Ctrl-C")
    parser.add_argument(
        "--print", action="store_true", dest="only_print", help=("print the record without publishing it")
    )
    add_secret_argument(parser)
    add_pubsub_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Publish once or repeatedly; return 0 if Pub/Sub accepted it."""
    try:
        if args.every is not None and not args.every > 0:
            raise SampleError(f"--every {args.every:g}: must be more than 0 seconds")  # noqa: TRY301 - one place reports
        streams = declared_by(args).load()
        data = sample(streams.default.table, args.data)
        if args.only_print:
            print(data.decode())
            return 0
        attributes = canary_attributes(args.secret_file, is_local=args.pubsub_host != "google")
        if streams.are_named:
            attributes[ATTRIBUTE] = streams.default.name
    except (SampleError, SecretError, RecordTypeError, OSError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    topic, forever = topic_path(args.project, args.topic), Event()
    try:
        with publisher(args.pubsub_host) as client:
            while True:
                publish(client, topic, [Draft(data, attributes, "")])
                print(f"published a canary to {topic}", flush=True)
                if args.every is None or forever.wait(args.every):
                    return 0
    except CALL_ERRORS as error:
        return complain(args.pubsub_host, error)


def sample(table: Table, file: str | None) -> bytes:
    """Return the record to publish: from `file`, or the example of the table's record type.

    Raises:
        SampleError: it is not a valid record, or no example can be derived from the type's constraints.
        OSError: the file cannot be read.
    """
    name = f"{table.record_type.__module__}:{table.record_type.__name__}"
    if file is None:
        example = example_record(table)
        if example is None:
            raise SampleError(f"cannot derive a valid example of {name}: give one with --data FILE")
        return msgspec.json.encode(example)
    data = Path(file).read_bytes().strip()
    try:
        msgspec.json.decode(data, type=table.record_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SampleError(f"{file} is not a valid record of {name}: {error}") from error
    return data
