"""`sluice metrics` prints every metric as the Markdown table of docs/metrics.md."""

import argparse
import sys

from app.telemetry.instruments import instruments_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it prints; there are no options."""
    parser.description = "Print every metric of the service, as a Markdown table."


def run(_: argparse.Namespace) -> int:
    """Print the metrics."""
    sys.stdout.write(instruments_table())
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m app.telemetry")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
