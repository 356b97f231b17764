"""`python -m app.telemetry` prints every metric as a Markdown table, as docs/operations.md has it."""

import sys

from app.telemetry.instruments import instruments_table

if __name__ == "__main__":
    sys.stdout.write(instruments_table())
