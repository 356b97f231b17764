"""`sluice smoke`: send one record through a running service and read it back, as a consumer would."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from app.streams import ATTRIBUTE
from sluice.local.reasons import reason
from sluice.local.signing import SecretError, add_secret_argument, canary_attributes
from sluice.ops.smoke.check import Check, Step
from sluice.ops.smoke.client import VARIABLE, Client, SmokeError
from sluice.ops.smoke.record import PLACEHOLDER, PREFIX, marker, record_of_example, record_of_file
from sluice.ops.smoke.senders import google_publisher, posting, publishing

_SLO_S = 60.0  # a record is visible within a minute of its publication


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    passed: bool
    url: str
    way: str
    record: dict[str, Any]
    delivery_key: str | None
    durable_s: float | None
    visible_s: float | None
    within_s: float
    steps: list[Step]


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
        "--stream", metavar="NAME", help="the stream to test, if there are several (default: the first)"
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
    mark = marker()
    api = f"/v1/streams/{quote(args.stream, safe='')}" if args.stream else "/v1"
    try:
        if not 0 < args.within <= 3600:
            raise SmokeError(f"--within {args.within:g}: expected seconds, up to 3600")  # noqa: TRY301 - one place reports
        own = None if args.data is None else record_of_file(args.data.read_bytes(), mark)
        token = token_of(args.token)
        client = Client(args.url, token)
        ingest = Client(args.ingest_url, token) if args.ingest_url else client
        host = os.environ.get("PUBSUB_EMULATOR_HOST") or "google"
        send = (
            publishing(
                google_publisher(args.topic, host),
                canary_attributes(args.secret_file, is_local=host != "google")
                | ({ATTRIBUTE: args.stream} if args.stream else {}),
            )
            if args.topic
            else posting(ingest, mark, has_token=bool(token), api=api)
        )
    except (SmokeError, SecretError, OSError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 2
    check = Check(client, ingest, has_token=bool(token), within_s=args.within, api=api)
    steps = check.run(
        lambda document, field: record_of_example(document, field, mark, f"{api}/records") if own is None else own, send
    )
    report = Report(
        passed=all(step.passed for step in steps),
        url=client.url,
        way=f"published to {args.topic}" if args.topic else "posted",
        record=check.record,
        delivery_key=check.row.get("delivery_key"),
        durable_s=check.durable_s,
        visible_s=check.visible_s,
        within_s=args.within,
        steps=steps,
    )
    shown = (
        msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if args.json else describe(report, check)
    )
    print(shown.replace(token, "[token]") if token else shown)
    return 0 if report.passed else 1


def token_of(given: str | None) -> str:
    """Return the bearer token to send; "" for a service that requires none.

    Raises:
        SmokeError: it is more than one word.
    """
    token = (os.environ.get(VARIABLE, "") if given is None else given).strip()
    if any(character.isspace() or not character.isprintable() for character in token):
        raise SmokeError("the token contains a space or a line break: give exactly one token")
    return token


def describe(report: Report, check: Check) -> str:
    """Return the human-readable report."""
    lines = [f"smoke test of {report.url}, one record {report.way}"]
    lines += [f"  {'ok' if s.passed else 'FAILED':<6}  {s.name:<10}  {s.took_s:6.2f} s  {s.said}" for s in report.steps]
    if report.delivery_key is not None:
        lines.append(f"The record stays, with delivery key {report.delivery_key}. {_apart(report, check.id_field)}")
    lines.append("passed" if report.passed else "FAILED")
    return "\n".join(lines)


def _apart(report: Report, id_field: str | None) -> str:
    """Explain how to distinguish the record from real ones."""
    if report.way != "posted":
        return "It is a canary: reads omit it unless they ask for heartbeat=include."
    value = str(report.record.get(id_field)) if id_field else ""
    if value.startswith(PREFIX):
        return f"Exclude such records by their {id_field}, which begins with {PREFIX}."
    return "Exclude it by that key."
