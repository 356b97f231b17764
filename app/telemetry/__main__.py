"""`python -m app.telemetry` prints every metric as the Markdown table of docs/metrics.md."""

import argparse
import sys

from app.telemetry.instruments import instruments_table


def main() -> None:
    """Print the metrics."""
    argparse.ArgumentParser(
        prog="python -m app.telemetry", description="Print every metric of the service."
    ).parse_args()
    sys.stdout.write(instruments_table())


if __name__ == "__main__":
    main()
