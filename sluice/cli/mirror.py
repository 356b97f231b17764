"""`sluice mirror URL`: this process becomes a service over a copy of another one's records, which it keeps current."""

import argparse
import os

from sluice.cli import serve
from sluice_client.token_option import TOKEN, add_token_option

_FILE = "data/mirror.duckdb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Keep a copy of another Sluice's records, and serve the whole read API over it."
    parser.add_argument("url", help="of the source, such as https://sluice.example")
    add_token_option(parser)
    parser.epilog = (
        "Everything else is a setting, as of `sluice serve`: SLUICE_STREAMS or SLUICE_RECORD, the source's types; "
        f"SLUICE_DATA_PATH, the file (default: {_FILE}); SLUICE_PORT. It may be killed and started again at any moment."
    )


def run(args: argparse.Namespace) -> int:
    """Start the service with the settings of a mirror."""
    token = str(args.token_file.absolute()) if args.token_file is not None else os.environ.get(TOKEN, "").strip()
    os.environ |= {"SLUICE_BACKEND": "mirror", "SLUICE_ROLES": "query", "SLUICE_MIRROR_URL": args.url}
    os.environ |= {"SLUICE_MIRROR_TOKEN": token} if token else {}
    os.environ.setdefault("SLUICE_DATA_PATH", _FILE)
    return serve.run(args)
