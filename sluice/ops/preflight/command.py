"""Ask Google whether a deployment works: `sluice preflight --tfvars FILE`."""

import argparse
import sys
from pathlib import Path

from sluice.local.reasons import reason
from sluice.ops.preflight.checks import CHECKS, Held, line, run_checks
from sluice.ops.preflight.deployment import DeploymentError, read_deployment, read_tfvars
from sluice.ops.preflight.google import Google, NoCredentialsError, RestClient, UnreadableError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Ask Google what a successful `terraform apply` does not tell. One line a check: held, failed with the cure, "
        "or not checked and why. It asks with your application-default credentials."
    )
    parser.epilog = "exit status: 0 every check held, 1 one did not, 2 nothing could be checked"
    parser.add_argument(
        "--tfvars", type=Path, metavar="FILE", required=True, help="read the names from an environment's variables"
    )
    parser.add_argument("--stream", metavar="NAME", default="", help="the stream to check, if there are several")


def run(args: argparse.Namespace) -> int:
    """Check, print the findings, and return the exit status."""
    return check(args, None)


def check(args: argparse.Namespace, google: Google | None) -> int:
    """Do the same before a double of Google."""
    try:
        names = read_tfvars(args.tfvars.read_text(encoding="utf-8"), args.stream)
        google = google or RestClient(names.project)
        deployment = read_deployment(names, google)
        has_held = True
        for name, finding in run_checks(deployment, google, CHECKS):
            print(line(name, finding), flush=True)
            has_held = has_held and isinstance(finding, Held)
    except (DeploymentError, NoCredentialsError, UnreadableError, OSError, UnicodeDecodeError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 2
    return 0 if has_held else 1
