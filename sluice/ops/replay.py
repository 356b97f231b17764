"""`sluice replay`: publish rejected records again, after the record type or the producer was fixed.

Reads `GET /v1/rejects` page by page, reassembles payloads that were split over several rows, and publishes each with
its original attributes. The attribute `sluice-delivery-key` carries the original delivery key, signed with the
service's secret, so that a record replayed twice is still one record. Where the service has several streams, the
attribute `stream` brings each record back to its own.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from app.auth.signatures import DELIVERY_KEY, SIGNATURE, replay_signature
from app.ingest.decode.rejects import STATE, WITHHELD, prefix_of
from app.record import REJECT_REASONS
from app.stores.sink import whole_key
from app.streams import ATTRIBUTE
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
from sluice.local.signing import SecretError, add_secret_argument, secret_of
from sluice.ops.service import Service
from sluice_client import Feed, ProblemError, SluiceError

_GZIP = b"\x1f\x8b"


class RejectRow(msgspec.Struct, frozen=True):
    """The columns of the rejects table that a replay needs; JSON carries the payload in base64."""

    reason: str
    delivery_key: str
    payload: bytes = b""
    part: int = 0
    parts: int = 1
    attributes: dict[str, str] | None = None
    ordering_key: str | None = None
    stream: str | None = None


class Rejected(msgspec.Struct, frozen=True):
    """A reassembled rejected record."""

    delivery_key: str
    reason: str
    payload: bytes
    attributes: dict[str, str]
    ordering_key: str
    stream: str | None = None
    """The stream that rejected it; None: no stream took it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--service", default="http://127.0.0.1:8080", help="the service's address (default: %(default)s)"
    )
    parser.add_argument("--token", default="", help="bearer token, for a service that requires one")
    parser.add_argument(
        "--reason",
        action="append",
        choices=REJECT_REASONS,
        help=("only these reasons; repeat for several (default: all)"),
    )
    parser.add_argument("--stream", default="", help="only the rejects of this stream (default: of all)")
    parser.add_argument("--to", default="", metavar="STREAM", help="the stream of messages that were unroutable")
    parser.add_argument("--since", default="-PT1H", help="RFC 3339 or a duration like -PT15M (default: -PT1H)")
    parser.add_argument("--until", default="", help="RFC 3339, duration or now (default: no limit)")
    parser.add_argument("--topic", default="events", help="topic id or full name (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be published")
    add_secret_argument(parser)
    add_pubsub_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Replay and print a summary; return 1 if a record could not be replayed."""
    incomplete, withheld = list[str](), list[str]()
    try:
        # Checked before anything is read: without it the rest would be pointless.
        secret = "" if args.dry_run else secret_of(args.secret_file, is_local=args.pubsub_host != "google")
        service = Service(args.service, args.token)
        streams = _streams(service)
        for name in filter(None, (args.stream, args.to)):
            _require(name, streams)
        with service.client as client:
            records = client.walk(args.since, args.until, feed=Feed(args.stream, rejects=True))
            rows = (msgspec.convert(record, RejectRow) for record in records)
            matching = (row for row in rows if not args.reason or row.reason in args.reason)
            rejected = list(assemble(readable(matching, withheld), incomplete))
    except (SecretError, SluiceError, ValueError) as error:
        print(f"error: nothing was replayed from {args.service}: {error}", file=sys.stderr)
        return 1
    for key in incomplete:
        print(f"error: {key}: a part of its payload is missing in this window; not replayed", file=sys.stderr)
    for key in withheld:
        print(f"error: {key}: its payload is withheld, as it may hold personal data; send it again", file=sys.stderr)
    if streams:
        rejected = [to_its_stream(one, args.to) for one in rejected]
    status = _dry_run(rejected) if args.dry_run else _publish(args, rejected, secret)
    return status or bool(incomplete or withheld)


def readable(rows: Iterable[RejectRow], withheld: list[str]) -> Iterator[RejectRow]:
    """Yield the rows that hold bytes; name those in `withheld` whose bytes the service did not keep."""
    for row in rows:
        if (row.attributes or {}).get(STATE) == WITHHELD:
            withheld.append(row.delivery_key)
        else:
            yield row


def assemble(rows: Iterable[RejectRow], incomplete: list[str]) -> Iterator[Rejected]:
    """Yield each rejected record once all its parts have been read; name the others in `incomplete`.

    A part may repeat afterwards, if the service stored it a second time because it was late (docs/runbook.md).
    """
    waiting: dict[str, dict[int, RejectRow]] = {}
    assembled = set[str]()
    for row in rows:
        key = whole_key(row.delivery_key, row.part)
        parts = waiting.setdefault(key, {})
        parts[row.part] = row
        if len(parts) == row.parts:
            del waiting[key]
            assembled.add(key)
            payload = b"".join(parts[number].payload for number in sorted(parts))
            attributes = _attributes(row.attributes or {}, payload)
            original_key = key.removeprefix(prefix_of(row.stream or ""))
            yield Rejected(original_key, row.reason, payload, attributes, row.ordering_key or "", row.stream)
    incomplete.extend(key for key in waiting if key not in assembled)


def to_its_stream(rejected: Rejected, unroutable_to: str) -> Rejected:
    """Return the record with the attribute that brings it to its stream; one without a stream goes `unroutable_to`.

    If that is empty, it keeps the attributes that it had: the service may know its stream by now.
    """
    stream = rejected.stream or unroutable_to
    if not stream:
        return rejected
    attributes = rejected.attributes | {ATTRIBUTE: stream}
    return msgspec.structs.replace(rejected, attributes=attributes, stream=stream)


def _streams(service: Service) -> list[str]:
    """Return the names of the service's streams; none if it stores a single type."""
    try:
        return [each["name"] for each in service.get("/v1/streams")["streams"]]
    except ProblemError as error:
        if error.problem.status == 404:
            return []
        raise


def _require(name: str, streams: Sequence[str]) -> None:
    if name not in streams:
        there = f"expected one of {', '.join(streams)}" if streams else "the service stores a single type"
        raise SluiceError(f"there is no stream {name!r}: {there}")


def _attributes(original: dict[str, str], payload: bytes) -> dict[str, str]:
    """Return the attributes of a replay: without the service's mark on scrubbed payloads, which no replay can prove.

    A single record of a compressed message is stored decompressed, so it loses the attribute that says gzip.
    """
    is_decompressed = original.get("content-encoding", "").lower() == "gzip" and not payload.startswith(_GZIP)
    without = {STATE, "content-encoding"} if is_decompressed else {STATE}
    return {name: value for name, value in original.items() if name not in without}


def _draft(rejected: Rejected, secret: str) -> Draft:
    signature = replay_signature(secret, rejected.delivery_key, rejected.payload)
    attributes = rejected.attributes | {DELIVERY_KEY: rejected.delivery_key, SIGNATURE: signature}
    return Draft(rejected.payload, attributes, rejected.ordering_key)


def _dry_run(rejected: list[Rejected]) -> int:
    for one in rejected:
        shown = one.payload[:100].decode(errors="replace")
        to = one.stream if one.attributes.get(ATTRIBUTE) == one.stream else None
        print(f"{one.delivery_key}  {one.reason}{f', to {to}' if to else ''}  {len(one.payload)} bytes  {shown}")
    print(f"would publish {_summary(rejected)}")
    return 0


def _publish(args: argparse.Namespace, rejected: list[Rejected], secret: str) -> int:
    topic = topic_path(args.project, args.topic)
    published = 0
    try:
        with publisher(args.pubsub_host) as client:
            for batch in publish_batches(_draft(one, secret) for one in rejected):
                publish(client, topic, batch)
                published += len(batch)
    except CALL_ERRORS as error:
        print(f"published {published} of {len(rejected)} records, then:", file=sys.stderr)
        return complain(args.pubsub_host, error)
    print(f"published {_summary(rejected)} to {topic}")
    return 0


def _summary(rejected: list[Rejected]) -> str:
    counts = Counter(one.reason for one in rejected)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f"{len(rejected)} records" + (f" ({reasons})" if reasons else "")
