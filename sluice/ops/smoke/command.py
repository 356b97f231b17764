"""`sluice smoke`: send one record through a running service and read it back, as a consumer would."""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from app.streams import ATTRIBUTE
from sluice.local import clients
from sluice.local.pubsub.message import Draft
from sluice.local.reasons import reason
from sluice.local.signing import SecretError, add_secret_argument, canary_attributes
from sluice.ops.service import VARIABLE, Service
from sluice.ops.smoke.journey import PLACEHOLDER, PREFIX, Journey, Publish, Report, marker, record_of_file
from sluice_client import SluiceError

_SLO_S = 60.0  # a record is visible within a minute of its publication


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the service's base URL (default: %(default)s)")
    parser.add_argument(
        "--ingest-url", metavar="URL", help="where to post the record, if another service ingests (default: --url)"
    )
    parser.add_argument(
        "--topic",
        metavar="projects/P/topics/T",
        help="publish to this topic as a canary, instead of a POST (with your application default credentials, "
        "or PUBSUB_EMULATOR_HOST)",
    )
    parser.add_argument(
        "--stream", metavar="NAME", default="", help="the stream to test, if there are several (default: the first)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help=f"a record to send; {PLACEHOLDER} in it becomes a new id each time"
    )
    parser.add_argument(
        "--within",
        type=float,
        default=_SLO_S,
        metavar="S",
        help="the longest time from sending the record until it is visible in the feed (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_secret_argument(parser)
    parser.add_argument("--token", help=f"bearer token to send (default: ${VARIABLE}, which other users cannot see)")


def run(args: argparse.Namespace) -> int:
    """Check, print the report, and return the exit status: 0 if every step passed, 1 if one failed, 2 if none ran."""
    mark, token = marker(), (os.environ.get(VARIABLE, "") if args.token is None else args.token).strip()
    try:
        own = None if args.data is None else record_of_file(args.data.read_bytes(), mark)
        service = Service(args.url, token, args.within)
        ingest = Service(args.ingest_url, token, args.within) if args.ingest_url else service
        publish = _publisher(args) if args.topic else None
    except (SluiceError, SecretError, OSError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 2
    way = f"published to {args.topic}" if args.topic else "posted"
    report = Report(url=service.url, way=way, within_s=args.within)
    journey = Journey(service, ingest, args.stream, mark, report)
    with service.client, ingest.client:
        journey.run(own, publish)
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    shown = encoded if args.json else describe(report, journey.id_field)
    print(shown.replace(token, "[token]") if token else shown)
    return 0 if report.passed else 1


def _publisher(args: argparse.Namespace) -> Publish:
    """Return what publishes a record as a canary. Raises SecretError if nothing can sign it."""
    host = os.environ.get(clients.EMULATOR_VARIABLE) or "google"
    attributes = canary_attributes(args.secret_file, is_local=host != "google")
    attributes |= {ATTRIBUTE: args.stream} if args.stream else {}

    def publish(data: bytes) -> str:
        try:
            with clients.publisher(host) as publisher:
                return clients.publish(publisher, args.topic, [Draft(data, attributes)])[0]
        except clients.CALL_ERRORS as error:
            raise SluiceError(f"cannot publish to {args.topic} at {host}: {error}") from error

    return publish


def describe(report: Report, id_field: str | None) -> str:
    """Return the human-readable report."""
    lines = [f"smoke test of {report.url}, one record {report.way}"]
    lines += [f"  {'ok' if s.passed else 'FAILED':<6}  {s.name:<10}  {s.took_s:6.2f} s  {s.said}" for s in report.steps]
    if report.delivery_key is not None:
        lines.append(f"The record stays, with delivery key {report.delivery_key}. {_apart(report, id_field)}")
    lines.append("passed" if report.passed else "FAILED")
    return "\n".join(lines)


def _apart(report: Report, id_field: str | None) -> str:
    """Explain how to distinguish the record from real ones."""
    if report.way != "posted":
        return "It is a canary: reads omit it unless they ask for heartbeat=include."
    if str(report.record.get(id_field or "")).startswith(PREFIX):
        return f"Exclude such records by their {id_field}, which begins with {PREFIX}."
    return "Exclude it by that key."
