"""`sluice migrate`: the migration of `sluice schema`, under a name of its own."""

import argparse
import os
import sys

from app.record import RecordTypeError
from app.schema import migrate_command
from app.settings.load import SettingsError

WRONG = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the migration."""
    migrate_command.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Migrate; return the exit status."""
    try:
        return migrate_command.migrate_file(args, os.environ)
    except (RecordTypeError, SettingsError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return WRONG
