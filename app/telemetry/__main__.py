"""`python -m app.telemetry` prints every metric as the Markdown table of docs/operations.md.

With `--json` it prints infra/terraform/monitoring/metrics.json.
"""

import argparse
import sys

from app.telemetry.instruments import instruments_json, instruments_table


def main() -> None:
    """Print the metrics."""
    parser = argparse.ArgumentParser(prog="python -m app.telemetry", description="Print every metric of the service.")
    parser.add_argument("--json", action="store_true", help="as infra/terraform/monitoring/metrics.json")
    sys.stdout.write(instruments_json() if parser.parse_args().json else instruments_table())


if __name__ == "__main__":
    main()
