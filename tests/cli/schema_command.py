"""`sluice schema` with an environment of the test's own."""

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sluice.cli.schema import add_arguments, run


def main(arguments: Sequence[str], environ: Mapping[str, str] = MappingProxyType({})) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="sluice schema")
    add_arguments(parser)
    return run(parser.parse_args(arguments), environ)
