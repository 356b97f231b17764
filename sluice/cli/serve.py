"""`sluice serve`: this process becomes the service, as `python -m app` starts it."""

import argparse
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where the settings come from: they are no arguments."""
    parser.epilog = (
        "Settings are environment variables that begin with SLUICE_ (`sluice settings` lists them). Without any, it "
        "listens on 127.0.0.1:8080 and stores in data/sluice.duckdb. SIGTERM and Ctrl-C stop it."
    )


def run(_: argparse.Namespace) -> int:
    """Start the service in this process's place: two of its settings must precede every import (app/__main__.py)."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "app"])
