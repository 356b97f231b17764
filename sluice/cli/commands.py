"""Every command of `sluice` in the groups of its help, the parser of one, and the help that lists all."""

import argparse
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn, Protocol, cast

import msgspec

from app.version import VERSION

_ABOUT = "Sluice stores what is published to Pub/Sub, and serves it again as a feed."
_EPILOG = "`sluice COMMAND --help` describes a command. A first look: `sluice demo`."
_NEGATIVE_DURATION = re.compile(r"-P[T\d]")


class CommandModule(Protocol):
    """What a command's module has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""

    def run(self, args: argparse.Namespace) -> int:
        """Carry the command out; return the exit status."""


class Command(msgspec.Struct, frozen=True):
    """A command: where it is, and its line of help."""

    module: str
    about: str

    def load(self) -> CommandModule:
        """Import its module. Raises ModuleNotFoundError if a package that it needs is missing."""
        return cast("CommandModule", importlib.import_module(self.module))


GROUPS: Mapping[str, Mapping[str, Command]] = MappingProxyType(
    {
        "on a laptop": {
            "new": Command(
                "sluice.cli.new.command", "make a folder for a service of your own: type, tests, deployment"
            ),
            "up": Command("sluice.local.up", "start the service with a local Pub/Sub, and keep both running"),
            "demo": Command(
                "sluice.local.demo.command", "publish 27,004 real flights, read them back, compare every field"
            ),
            "drill": Command("sluice.ops.drill.command", "break one thing, and mend it with the run-book"),
            "pubsub": Command("sluice.local.pubsub.command", "start the local Pub/Sub alone"),
        },
        "records": {
            "publish": Command("sluice.local.publish", "publish the records of a file or of standard input"),
            "follow": Command("sluice_client.follow_command", "copy the feed into a table of yours, each record once"),
            "backfill": Command("sluice.ops.backfill.command", "store the records of files"),
            "replay": Command("sluice.ops.replay", "publish rejected records again, after a fix"),
            "redrive": Command("sluice.ops.redrive", "move dead-lettered messages back to their topic"),
            "erase": Command("sluice.cli.erase", "delete the records of one id from the store"),
        },
        "a record type": {
            "schema": Command("sluice.cli.schema", "print a type's tables and schemas, or compare the live ones"),
            "migrate": Command("sluice.cli.migrate", "fit the embedded store's file to a changed type"),
        },
        "the service": {
            "mirror": Command("sluice.cli.mirror", "serve a copy of another service's records, kept current"),
            "serve": Command("sluice.cli.serve", "run the service alone, with the settings of the environment"),
            "settings": Command("sluice.cli.settings", "print every setting, with its default"),
            "metrics": Command("sluice.cli.metrics", "print every metric"),
            "key": Command("sluice.cli.key", "make an API key, with its entry in a file of grants"),
            "smoke": Command("sluice.ops.smoke.command", "send one record through a running service and read it back"),
            "canary": Command("sluice.ops.canary", "publish a sample that measures the delay until it is readable"),
        },
        "on Google Cloud": {
            "preflight": Command("sluice.ops.preflight.command", "ask Google what a deployment lacks"),
            "rollout": Command("sluice.ops.rollout", "shift traffic to a new revision in steps, or back"),
        },
    }
)


def all_commands() -> Iterator[tuple[str, Command]]:
    """Yield every command with its name, in the order of the help."""
    for group in GROUPS.values():
        yield from group.items()


def overview(width: int = 12) -> str:
    """Return the commands as the help shows them."""
    return "\n\n".join(_shown(title, group, width) for title, group in GROUPS.items())


def _shown(title: str, group: Mapping[str, Command], width: int) -> str:
    lines: Sequence[str] = [f"  {name:<{width}}{command.about}" for name, command in group.items()]
    return "\n".join([f"{title}:", *lines])


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
