"""Every command of `sluice`, in the order and the groups of its help."""

import argparse
import importlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, cast

import msgspec


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
            "serve": Command("sluice.cli.serve", "run the service alone, with the settings of the environment"),
            "settings": Command("app.settings.__main__", "print every setting, with its default"),
            "metrics": Command("app.telemetry.__main__", "print every metric"),
            "keys": Command("app.auth.__main__", "make API keys, and check a file of grants"),
            "smoke": Command("sluice.ops.smoke.command", "send one record through a running service and read it back"),
            "canary": Command("sluice.ops.canary", "publish a sample that measures the delay until it is readable"),
        },
        "on Google Cloud": {
            "preflight": Command("sluice.ops.preflight.command", "ask Google what a deployment lacks"),
            "rollout": Command("sluice.ops.rollout.command", "shift traffic to a new revision in steps, or back"),
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
