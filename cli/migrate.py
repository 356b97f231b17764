"""`sluice migrate`: the migration of `sluice schema`, under a name of its own."""

import argparse

from app.schema import command as schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the migration."""
    schema.add_migration_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Migrate; return the exit status."""
    return schema.run(args)
