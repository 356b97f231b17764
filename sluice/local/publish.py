"""`sluice publish`: publish the records of a file or of standard input.

Reads a JSON array, NDJSON, or one JSON value. It first checks that all of it is JSON, so that a bad line does not
leave the input half published.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sluice.local.clients import (
    CALL_ERRORS,
    add_pubsub_arguments,
    complain,
    publish,
    publish_batches,
    publisher,
    topic_path,
)
from sluice.local.pubsub.message import Draft
from sluice.local.reasons import reason

_MAX_COMPLAINTS = 10
_array = msgspec.json.Decoder(list[msgspec.Raw])


class InputError(Exception):
    """The input cannot be published; the message has one line per problem."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", nargs="?", default="-", help="JSON array or NDJSON; - for standard input")
    parser.add_argument("--topic", default="events", help="topic id or full name (default: %(default)s)")
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="KEY=VALUE", help="attribute of every message"
    )
    parser.add_argument(
        "--batch", type=int, default=1, metavar="N", help="records per message, as a JSON array (default: 1)"
    )
    add_pubsub_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Publish; return 0 if Pub/Sub accepted every record."""
    try:
        if args.batch < 1:
            raise InputError(f"--batch {args.batch}: must be at least 1")  # noqa: TRY301 - one place reports
        attributes = parse_attributes(args.attribute)
        content = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
        records = read_records(content)
    except (InputError, OSError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    drafts = [Draft(data, attributes) for data in join_records(records, args.batch)]
    topic = topic_path(args.project, args.topic)
    published = 0
    try:
        with publisher(args.pubsub_host) as client:
            for batch in publish_batches(drafts):
                publish(client, topic, batch)
                published += len(batch)
    except CALL_ERRORS as error:
        print(f"published {published} of {len(drafts)} messages, then:", file=sys.stderr)
        return complain(args.pubsub_host, error)
    print(f"published {_counted(len(records), 'record')} in {_counted(published, 'message')} to {topic}")
    return 0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def parse_attributes(pairs: Sequence[str]) -> dict[str, str]:
    """Return `KEY=VALUE` pairs as a dictionary. Raises InputError for anything else."""
    attributes = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InputError(f"--attribute {pair!r}: expected KEY=VALUE")
        attributes[key] = value
    return attributes


def read_records(content: bytes) -> list[bytes]:
    """Return the bytes of each record. Raises InputError that names every bad line (ten at most)."""
    if not content.strip():
        raise InputError("the input is empty: expected a JSON array or one JSON value per line")
    if content.lstrip().startswith(b"["):
        try:
            return [bytes(record) for record in _array.decode(content)]
        except msgspec.DecodeError as error:
            raise InputError(f"the input starts as a JSON array, but is not valid JSON: {error}") from error
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    problems = list(itertools.islice(_problems(lines), _MAX_COMPLAINTS))
    if not problems:
        return [line for _, line in lines]
    if _json_error(content) is None:  # one value, printed over several lines
        return [content.strip()]
    raise InputError("\n".join(["nothing was published: some lines are not JSON", *problems]))


def join_records(records: Sequence[bytes], per_message: int) -> list[bytes]:
    """Return the data of each message: a record, or a JSON array of `per_message` of them."""
    if per_message == 1:
        return list(records)
    return [
        b"[" + b",".join(records[start : start + per_message]) + b"]" for start in range(0, len(records), per_message)
    ]


def _problems(lines: Sequence[tuple[int, bytes]]) -> Iterator[str]:
    for number, line in lines:
        if problem := _json_error(line):
            yield f"  line {number}: {problem}: {line[:60].decode(errors='replace')}"


def _json_error(text: bytes) -> str | None:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return None
