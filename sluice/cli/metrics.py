"""`sluice metrics` prints every metric as the Markdown table of docs/metrics.md."""

import argparse
import sys

from app.telemetry.instruments import CATALOGUE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it prints; there are no options."""
    parser.description = "Print every metric of the service, as a Markdown table."


def run(_: argparse.Namespace) -> int:
    """Print the metrics."""
    sys.stdout.write(instruments_table())
    return 0


def instruments_table() -> str:
    """Return the metrics as a Markdown table."""
    rows = ["| metric | kind, unit | what it is | attributes | buckets |", "|---|---|---|---|---|"]
    for each in CATALOGUE:
        attributes = ", ".join(f"`{name}`" for name in each.attributes)
        bounds = ", ".join(f"{bound:g}" for bound in each.bounds)
        description = f"{each.description}. {each.meaning}" if each.meaning else f"{each.description}."
        rows.append(f"| `{each.name}` | {each.kind}, `{each.unit}` | {description} | {attributes} | {bounds} |")
    return "\n".join(rows) + "\n"
