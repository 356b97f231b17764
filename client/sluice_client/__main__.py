"""`python -m sluice_client`, and the console script `sluice-client`."""

import argparse
import sys

from sluice_client import follow_command
from sluice_client.mcp import command as mcp_command


def main(arguments: list[str] | None = None) -> int:
    """Run `sluice-client`."""
    parser = argparse.ArgumentParser(prog="sluice-client")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    follow_command.add_arguments(commands.add_parser("follow", help="a feed into a store of your own"))
    mcp_command.add_arguments(commands.add_parser("mcp", help="the API as tools for agents"))
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    status: int = options.run(options)
    return status


def run() -> None:
    """Run the command, and exit with its status."""
    sys.exit(main())


if __name__ == "__main__":
    run()
