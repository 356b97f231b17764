"""The settings by room: `sluice settings` prints them, and docs/settings.md is that output."""

import argparse
import inspect
import sys
from typing import Any

import msgspec

from app.settings.load import PREFIX, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it prints; there are no options."""
    parser.description = "Print every setting of the service, with its default and its meaning, as Markdown tables."


def run(_: argparse.Namespace) -> int:
    """Print the tables."""
    sys.stdout.write(settings_tables())
    return 0


def settings_tables() -> str:
    """Return the settings as Markdown: a heading and a table for each room."""
    rooms = Settings()
    return "\n".join(_table(name, getattr(rooms, name)) for name in rooms.__struct_fields__)


def _table(name: str, room: msgspec.Struct) -> str:
    kind = type(room)
    described = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    rows = [
        f"| `{PREFIX}{key.upper()}` | {_shown(value)} | {described[key]['description']} |"
        for key, value in msgspec.structs.asdict(room).items()
        if "description" in described[key]
    ]
    head = f"## {name.capitalize()}\n\n{inspect.getdoc(kind)}\n\n| variable | default | meaning |\n|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def _shown(default: Any) -> str:
    text = ",".join(default) if isinstance(default, tuple) else default
    text = f"{text:g}" if isinstance(text, float) else str(text)
    return f"`{text}`" if text else ""
