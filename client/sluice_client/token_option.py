"""The API key or ID token of a command: in the environment, or in a file."""

import argparse
import os
from pathlib import Path

from sluice_client.connection import Token

TOKEN = "API_TOKEN"  # noqa: S105 - the name of a variable


def add_token_option(parser: argparse.ArgumentParser) -> None:
    """Add `--token-file`."""
    parser.add_argument(
        "--token-file", type=Path, help=f"a file with the API key or ID token, read for each request ({TOKEN})"
    )


def token_of(options: argparse.Namespace) -> Token:
    """Return what provides the token: the file is read for each request, as ID tokens expire within the hour."""
    if options.token_file is not None:
        path: Path = options.token_file
        path.read_bytes()
        return lambda: path.read_text(encoding="utf-8").strip()
    return os.environ.get(TOKEN, "").strip()
