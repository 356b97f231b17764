"""`python -m dev <command>`: the tools for a laptop. Each command is imported only when it is used."""

import argparse
import importlib
import re
import sys

COMMANDS = {
    "up": ("dev.up", "start the service with everything it needs, and keep it running"),
    "demo": ("dev.demo.command", "the whole system on real data: publish, push, store, read back, check"),
    "bigquery": ("dev.local_bigquery.command", "start a BigQuery on this machine, with the service's tables made"),
    "destroy": ("dev.install.destroy", "delete a deployment, with every record that it stored"),
    "drill": ("dev.drill.command", "break one thing, and mend it with the run-book"),
    "install": ("dev.install.command", "install a deployment on Google Cloud, step by step; resumes where it stopped"),
    "pubsub": ("dev.pubsub.command", "start the local Pub/Sub, its pusher and its token issuer"),
    "publish": ("dev.publish", "publish the records of a file or of standard input"),
    "canary": (
        "dev.canary",
        ("publish a sample record that measures the delay until it is readable; it does not appear in the feed"),
    ),
    "redrive": ("dev.redrive", "move dead-lettered messages back to their topic"),
    "replay": ("dev.replay", "publish rejected records again, after a fix"),
    "rollout": ("dev.rollout.command", "shift traffic on Cloud Run to a new revision in steps, or back"),
    "smoke": ("dev.smoke.command", "send one record through a running service and read it back"),
    "token": ("dev.token", "print a push token, to call the service with curl"),
}
"""Command -> module with `add_arguments(parser)` and `run(args) -> int`, and its line of help."""

_NEGATIVE_DURATION = re.compile(r"-P[T\d]")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status; 2 if the command line is wrong."""
    parser = argparse.ArgumentParser(prog="python -m dev", description="Tools for a development machine.")
    subparsers = parser.add_subparsers(dest="command", metavar="command", required=True)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, (_, help_text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_text, description=help_text.capitalize() + ".")
        if name == chosen:
            command = importlib.import_module(COMMANDS[name][0])
            command.add_arguments(subparser)
    args = parser.parse_args(_join_durations(arguments))
    status: int = command.run(args)
    return status


def _join_durations(arguments: list[str]) -> list[str]:
    """Write `--since -PT15M` as `--since=-PT15M`: argparse mistakes the value for another option."""
    joined: list[str] = []
    for argument in arguments:
        if _NEGATIVE_DURATION.match(argument) and joined and joined[-1].startswith("--"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has closed the pipe
        sys.stderr.close()
        sys.exit(1)
