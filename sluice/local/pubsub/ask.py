"""`sluice pubsub status` and `update`: look at a running local Pub/Sub, and change its subscription.

The options of `update` have the names that `gcloud pubsub subscriptions update` gives them.
"""

import argparse
import os
import re
import sys
import urllib.error
import urllib.request
from typing import Any

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import types

from sluice.local.clients import CALL_ERRORS, CALL_TIMEOUT_S, RETRY, add_pubsub_arguments, complain, subscriber
from sluice.local.pubsub.subscription import Backlog
from sluice.local.stack_settings import StackSettings

CONTROL_VARIABLE = "PUBSUB_CONTROL"
LOCAL_ISSUER = "http://127.0.0.1:8086"
_TIMEOUT_S = 5
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Answer(msgspec.Struct, frozen=True):
    """The body of `GET /subscriptions`."""

    subscriptions: list[Backlog]


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Add `status` and `update`; without either the command serves."""
    actions = parser.add_subparsers(dest="action", metavar="status|update")
    status = actions.add_parser("status", help="print the backlog of each subscription of a running local Pub/Sub")
    status.add_argument(
        "--control",
        default=os.environ.get(CONTROL_VARIABLE) or LOCAL_ISSUER,
        help=f"the issuer's address (default: ${CONTROL_VARIABLE}, else {LOCAL_ISSUER})",
    )
    update = actions.add_parser("update", help="change the push subscription of a running local Pub/Sub")
    update.add_argument("--subscription", default=StackSettings().subscription, help="its id (default: %(default)s)")
    update.add_argument("--message-retention-duration", type=seconds, metavar="31d", help="10 minutes to 31 days")
    update.add_argument("--ack-deadline", type=int, metavar="SECONDS", help="10-600")
    update.add_argument("--push-endpoint", metavar="URL", help="where to push; '' pauses")
    add_pubsub_arguments(update)


def seconds(text: str) -> int:
    """Return the seconds of a duration such as 600s, 7d or 31d. Raises ArgumentTypeError."""
    parts = re.fullmatch(r"(\d+)([smhd]?)", text)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 600s, 12h or 31d")
    return int(parts[1]) * _UNITS_S[parts[2] or "s"]


def status(args: argparse.Namespace) -> int:
    """Print the backlogs; return 1 if no local Pub/Sub responds."""
    try:
        backlogs = backlogs_at(args.control)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        print(f"error: no answer from {args.control}: {error}", file=sys.stderr)
        return 1
    for each in backlogs:
        print(
            f"{each.subscription.rpartition('/')[2]}: num_undelivered_messages {each.num_undelivered_messages}, "
            f"oldest_unacked_message_age {each.oldest_unacked_message_age:.0f} s, "
            f"dead_letter_message_count {each.dead_letter_message_count}, "
            f"retention {each.message_retention_duration:.0f} s, expired {each.expired_message_count}"
            + (f", pushed to {each.push_endpoint}" if each.push_endpoint else ", not pushed")
        )
    return 0


def backlogs_at(control: str) -> list[Backlog]:
    """Return the backlogs that a control endpoint reports. Raises URLError, TimeoutError or ValueError."""
    if not control.startswith(("http://", "https://")):
        raise ValueError(f"{control!r} is not an http:// URL")
    with urllib.request.urlopen(f"{control.rstrip('/')}/subscriptions", timeout=_TIMEOUT_S) as response:  # noqa: S310 - the scheme is checked above
        return msgspec.json.decode(response.read(), type=Answer).subscriptions


def update(args: argparse.Namespace) -> int:
    """Change what the options name; return 1 if Pub/Sub refuses."""
    changed: dict[str, Any] = {}
    if args.message_retention_duration is not None:
        changed["message_retention_duration"] = Duration(seconds=args.message_retention_duration)
    if args.ack_deadline is not None:
        changed["ack_deadline_seconds"] = args.ack_deadline
    if args.push_endpoint is not None:
        changed["push_config"] = types.PushConfig(push_endpoint=args.push_endpoint)
    if not changed:
        print("error: name at least one thing to change", file=sys.stderr)
        return 2
    name = f"projects/{args.project}/subscriptions/{args.subscription}"
    request = {"subscription": types.Subscription(name=name, **changed), "update_mask": {"paths": list(changed)}}
    try:
        with subscriber(args.pubsub_host) as client:
            client.update_subscription(request=request, retry=RETRY, timeout=CALL_TIMEOUT_S)
    except CALL_ERRORS as error:
        return complain(args.pubsub_host, error)
    print(f"updated {name}: {', '.join(changed)}")
    return 0
