"""The settings as a table: `python -m app.settings` prints it, and docs/settings.md is that output."""

import argparse
import sys

import msgspec

from app.settings.load import PREFIX, Settings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m app.settings",
        description="Print every setting of the service, with its default and its meaning, as a Markdown table.",
    )
    parser.parse_args()
    sys.stdout.write(settings_table())


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    for field in msgspec.structs.fields(Settings):
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        text = f"{default:g}" if isinstance(default, float) else str(default)
        shown = f"`{text}`" if text else ""
        rows.append(f"| `{PREFIX}{field.name.upper()}` | {shown} | {schema[field.name]['description']} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
