"""The command line: the parser of one command, and the help that lists all."""

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from app.version import VERSION
from sluice.cli.commands import Command, CommandModule, overview

_ABOUT = "Sluice stores what is published to Pub/Sub, and serves it again as a feed."
_EPILOG = "`sluice COMMAND --help` describes a command. A first look: `sluice demo`."
_NEGATIVE_DURATION = re.compile(r"-P[T\d]")


def parser_of(name: str, command: Command) -> tuple[argparse.ArgumentParser, CommandModule]:
    """Return the parser of one command, and its module."""
    parser = argparse.ArgumentParser(prog=f"sluice {name}", description=_sentence(command.about), allow_abbrev=False)
    module = command.load()
    module.add_arguments(parser)
    return parser, module


def read_no_command(arguments: Sequence[str]) -> NoReturn:
    """Exit as a command line without a command says: for --help and --version with 0, else with 2."""
    _empty().parse_args(arguments)
    raise SystemExit(2)


def whole_help() -> str:
    """Return the help that lists all commands."""
    return _empty().format_help()


def join_durations(arguments: Sequence[str]) -> list[str]:
    """Write `--since -PT15M` as `--since=-PT15M`: argparse mistakes the value for another option."""
    joined: list[str] = []
    for argument in arguments:
        if _NEGATIVE_DURATION.match(argument) and joined and joined[-1].startswith("--"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _empty() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluice",
        usage="sluice COMMAND …",
        description=f"{_ABOUT}\n\n{overview()}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sluice {VERSION}")
    # The description lists the commands by their groups, so argparse's own list stays hidden.
    parser.add_subparsers(dest="command", metavar="COMMAND", required=True, help=argparse.SUPPRESS)
    return parser


def _sentence(about: str) -> str:
    return f"{about[0].upper()}{about[1:]}."
