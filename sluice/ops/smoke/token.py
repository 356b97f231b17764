"""The caller's token: given directly, printed by a command, or an API key from the environment. Never printed."""

import argparse
import os
import shlex
import subprocess

from sluice.ops.smoke.client import SmokeError

VARIABLE = "SMOKE_TOKEN"
_COMMAND_TIMEOUT_S = 60


def add_token_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --token, --token-command and --api-key."""
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--token", help=f"ID token to send (default: ${VARIABLE}, which other users cannot see)")
    who.add_argument(
        "--token-command",
        metavar="COMMAND",
        help="command that prints the token, such as 'gcloud auth print-identity-token --audiences=sluice "
        "--include-email --impersonate-service-account=…'",
    )
    who.add_argument("--api-key", metavar="VARIABLE", help="environment variable that holds an API key")


def token_of(args: argparse.Namespace) -> str:
    """Return the bearer token to send; "" for a service that requires none.

    Raises:
        SmokeError: the command fails or prints nothing, or the variable is not set.
    """
    if args.token is not None:
        token = args.token
    elif args.token_command is not None:
        token = _printed(args.token_command)
    elif args.api_key is not None:
        token = os.environ.get(args.api_key, "")
        if not token:
            raise SmokeError(f"--api-key {args.api_key}: the environment variable does not exist or is empty")
    else:
        token = os.environ.get(VARIABLE, "")
    token = token.strip()
    if any(character.isspace() or not character.isprintable() for character in token):
        raise SmokeError("the token contains a space or a line break: give exactly one token")
    return str(token)


def _printed(command: str) -> str:
    name = shlex.split(command)[:1]
    try:
        run = subprocess.run(
            shlex.split(command), capture_output=True, text=True, check=False, timeout=_COMMAND_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise SmokeError(f"--token-command: {name} could not be run: {type(error).__name__}") from error
    if run.returncode != 0:
        raise SmokeError(f"--token-command: {name} ended with status {run.returncode}: {run.stderr.strip()[-400:]}")
    if not run.stdout.strip():
        raise SmokeError(f"--token-command: {name} printed no token")
    return run.stdout
