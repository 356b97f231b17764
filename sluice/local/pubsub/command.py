"""`sluice pubsub`: the local Pub/Sub with its pusher and its token issuer.

Prints one JSON line on standard output when everything is up; SIGTERM or Ctrl-C ends it with status 0.
"""

import argparse
import contextlib
import logging
import resource
import sys

import msgspec
import uvloop

from sluice.local.ports import port_number
from sluice.local.shutdown import stop_requested
from sluice.local.stack import running
from sluice.local.stack_settings import StackSettings

_DEFAULTS = StackSettings()
_WANTED_OPEN_FILES = 8_192


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; their defaults are those of StackSettings."""
    for option, default, help_text in (
        ("--port", _DEFAULTS.port, "port of Pub/Sub over gRPC; 0 for a free one"),
        ("--issuer-port", _DEFAULTS.issuer_port, "port of the issuer, the backlogs and REST; 0 for a free one"),
        ("--push-endpoint", _DEFAULTS.push_endpoint, "push endpoint; need not be running yet"),
        ("--max-attempts", _DEFAULTS.max_attempts, "delivery attempts before the dead-letter topic, 5-100"),
        ("--max-backoff-s", _DEFAULTS.max_backoff_s, "longest pause after nacks"),
        ("--max-outstanding", _DEFAULTS.max_outstanding, "most pushes in flight, and so most open connections"),
    ):
        kind = port_number if option.endswith("port") else type(default)
        parser.add_argument(option, type=kind, default=default, help=f"{help_text} (default: {default!r})")
    parser.add_argument(
        "--stream",
        action="append",
        default=[],
        metavar="NAME",
        help="also create TOPIC.NAME, pushed to the path /NAME below the push endpoint; repeat for several",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; return 1 if it cannot start."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    _allow_many_connections()
    try:
        settings = _settings(args)
        uvloop.run(_serve(settings))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _settings(args: argparse.Namespace) -> StackSettings:
    if not 5 <= args.max_attempts <= 100:
        raise ValueError(f"--max-attempts {args.max_attempts}: must be 5-100, as in the real service")
    if not args.push_endpoint.startswith(("http://", "https://")):
        raise ValueError(f"--push-endpoint {args.push_endpoint!r} is not an http:// or https:// URL")
    return StackSettings(
        port=args.port,
        issuer_port=args.issuer_port,
        push_endpoint=args.push_endpoint,
        max_attempts=args.max_attempts,
        max_backoff_s=args.max_backoff_s,
        max_outstanding=args.max_outstanding,
        streams=tuple(dict.fromkeys(args.stream)),
    )


async def _serve(settings: StackSettings) -> None:
    with stop_requested() as stop:
        async with running(settings) as ready:
            sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
            sys.stdout.flush()
            await stop.wait()


def _allow_many_connections() -> None:
    """Raise the limit on open files if it is low: macOS starts at 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
