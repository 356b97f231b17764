"""The command `mcp`: the API as tools for agents, on stdio or on a loopback port."""

import argparse
import asyncio
import sys

from sluice_client.connection import Settings
from sluice_client.token_option import add_token_option, token_of

USAGE_ERROR = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Let an agent read the records of a service, over the Model Context Protocol on stdio."
    parser.add_argument("url", help="of the service, such as https://sluice.example")
    parser.add_argument(
        "--http", type=int, metavar="PORT", help="answer at http://127.0.0.1:PORT/mcp instead, to this machine only"
    )
    add_token_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Answer until the input ends or a signal arrives; return the exit status."""
    try:
        from sluice_client.mcp.server import serve  # noqa: PLC0415 - an extra, and slow to import

        asyncio.run(serve(Settings(options.url.rstrip("/"), token_of(options)), options.http))
    except KeyboardInterrupt:
        return 0
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: the package {error.name} is missing: install sluice-client[mcp]\n")
        return USAGE_ERROR
    except OSError as error:  # the token's file, or the port
        sys.stderr.write(f"error: {error}\n")
        return USAGE_ERROR
    return 0
