"""Ask Google whether a deployment works: `sluice preflight --tfvars FILE`."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sluice.ops.preflight.catalogue import CHECKS
from sluice.ops.preflight.check import Check
from sluice.ops.preflight.finding import Failed, Held, NotLooked, text, word
from sluice.ops.preflight.google import Endpoints, Google, NoCredentialsError, RestClient
from sluice.ops.preflight.plan import Deployment, read_tfvars
from sluice.ops.preflight.runner import Result, make

GOOD, BAD, WRONG = 0, 1, 2
_EPILOG = f"""\
exit status: {GOOD} no check failed, {BAD} a check failed (with --strict: or could not look), {WRONG} nothing could be
asked

It asks as you, with the application-default credentials (`gcloud auth application-default login`), and changes
nothing unless --canary or --dead-letter is given."""


class _UsageError(Exception):
    """The command line cannot be used; the message says why."""


def main(arguments: Sequence[str], google: Google | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="sluice preflight")
    add_arguments(parser)
    return carry_out(parser.parse_args(arguments), google)


def run(args: argparse.Namespace) -> int:
    """Do the same, and ask Google itself."""
    return carry_out(args, None)


def carry_out(options: argparse.Namespace, google: Google | None) -> int:
    """Make the checks that the options choose; return the exit status."""
    try:
        checks = _chosen(options)
        if options.list:
            sys.stdout.write("".join(f"{check.name:<25} {check.about}\n" for check in checks))
            return GOOD
        endpoints = Endpoints(dict(each.split("=", 1) for each in options.endpoint))
        deployment = _deployment(options)
        results = _report(checks, deployment, google or RestClient(endpoints, deployment.project), options)
    except (_UsageError, NoCredentialsError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    bad = (Failed, NotLooked) if options.strict else (Failed,)
    return BAD if any(isinstance(result.finding, bad) for result in results) else GOOD


def _report(
    checks: Sequence[Check], deployment: Deployment, google: Google, options: argparse.Namespace
) -> list[Result]:
    results = []
    flags = [name for name in ("canary", "dead_letter") if getattr(options, name)]
    for result in make(checks, deployment, google, flags):
        sys.stdout.write(f"{word(result.finding):<13} {result.check.name}: {text(result.finding)}\n")
        sys.stdout.flush()
        results.append(result)
    counts = {kind: sum(isinstance(each.finding, kind) for each in results) for kind in (Held, Failed, NotLooked)}
    sys.stdout.write(f"{counts[Held]} held, {counts[Failed]} failed, {counts[NotLooked]} not looked at\n")
    return results


def _chosen(options: argparse.Namespace) -> list[Check]:
    names = {check.name for check in CHECKS}
    if unknown := sorted(set(options.only) - names):
        raise _UsageError(f"there is no check {', '.join(unknown)}; --list names them")
    return [check for check in CHECKS if not options.only or check.name in options.only]


def _deployment(options: argparse.Namespace) -> Deployment:
    named: dict[str, Any] = {}
    if options.tfvars is not None:
        try:
            named |= read_tfvars(options.tfvars.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _UsageError(f"--tfvars {options.tfvars}: {error}") from error
    given: Mapping[str, Any] = vars(options)
    plain = ("project", "region", "system", "service_name", "dataset", "reader")
    named |= {name: given[name] for name in plain if given[name] is not None}
    if missing := [f"--{name}" for name in ("project", "region") if not named.get(name)]:
        raise _UsageError(f"give --tfvars infra/terraform/environments/NAME.tfvars, or {' and '.join(missing)}")
    return Deployment(**named)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Ask Google itself whether a deployment works, as far as `terraform apply` does not tell. "
        "One line a check: held, failed with the cure, or not looked at and why."
    )
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tfvars", type=Path, metavar="FILE", help="read the names from an environment's variables")
    for option, help_text in (
        ("project", "the project (default: from --tfvars, like the next three)"),
        ("region", "where the service runs"),
        ("system", "the name of the system"),
        ("dataset", "the dataset"),
    ):
        parser.add_argument(f"--{option}", help=help_text)
    parser.add_argument("--service", dest="service_name", help="the Cloud Run service (default: the system's name)")
    parser.add_argument("--reader", metavar="EMAIL", help="an account that may read, and that you may impersonate")
    parser.add_argument(
        "--canary", action="store_true", help="publish a canary to each stream and follow it to its feed"
    )
    parser.add_argument(
        "--dead-letter", action="store_true", help="publish a dead letter and replay it; its alert will be raised"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="CHECK", help="only these checks")
    parser.add_argument("--list", action="store_true", help="list the checks and make none")
    parser.add_argument("--strict", action="store_true", help="what could not be looked at counts as failed")
    parser.add_argument(
        "--endpoint",
        action="append",
        default=[],
        type=_endpoint,
        metavar="HOST=URL",
        help="ask a double instead of an API of Google's; the host * is for all others",
    )


def _endpoint(given: str) -> str:
    if not re.fullmatch(r"[^=]+=https?://[^/]+.*", given):
        raise argparse.ArgumentTypeError("expected HOST=URL")
    return given


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
