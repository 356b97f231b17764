"""The record types of a command line: one (`--record`) or several (`--streams`)."""

import argparse
import os

import msgspec

from app.settings.store import StoreSettings
from app.streams import Streams, load_streams

_RECORD, _STREAMS = "SLUICE_RECORD", "SLUICE_STREAMS"


class Declared(msgspec.Struct, frozen=True):
    """Where the declaration is: `streams`, as `package.module:NAME`, or else `record`, as `package.module:Type`."""

    record: str = "app.record:Record"
    streams: str = ""

    def __str__(self) -> str:
        """Return the name that was given."""
        return self.streams or self.record

    def load(self) -> Streams:
        """Import the declaration.

        Raises:
            RecordTypeError: it cannot be imported, or a type cannot be stored.
        """
        return load_streams(StoreSettings(record=self.record, streams=self.streams))

    def environ(self) -> dict[str, str]:
        """Return the setting of a service with this declaration; the two settings exclude each other."""
        return {_STREAMS: self.streams} if self.streams else {_RECORD: self.record}


def add_declared_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --record and --streams, which exclude each other; without either, the environment's setting counts."""
    default = declared_in_environment()
    shown = str(default)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--record", metavar="MODULE:TYPE", help=f"the record type (default: {shown})")
    group.add_argument("--streams", metavar="MODULE:NAME", help="several record types: a mapping from stream to type")
    parser.set_defaults(declared_by_default=default)


def declared_by(args: argparse.Namespace) -> Declared:
    """Return what the arguments of `add_declared_arguments` say."""
    if args.streams:
        return Declared(streams=args.streams)
    if args.record:
        return Declared(args.record)
    default: Declared = args.declared_by_default
    return default


def declared_in_environment() -> Declared:
    """Return what SLUICE_STREAMS or SLUICE_RECORD names, as the service would take it."""
    return Declared(os.environ.get(_RECORD) or Declared().record, os.environ.get(_STREAMS, ""))


def without_declaration(environ: dict[str, str]) -> dict[str, str]:
    """Return the environment without a declaration."""
    return {name: value for name, value in environ.items() if name not in {_RECORD, _STREAMS}}
