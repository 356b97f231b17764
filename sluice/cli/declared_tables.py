"""The tables that a command line means: of one record type, of one stream, or of all streams."""

import argparse
from collections.abc import Mapping, Sequence

from app.record import RecordTypeError, load_record_type
from app.schema.filters import checked_table
from app.schema.table import Table
from app.settings.load import load_settings
from app.streams import load_streams

DEFAULT_RECORD = "app.record:Record"
_STREAMS = "SLUICE_STREAMS"


def add_type_arguments(parser: argparse.ArgumentParser, stream_is: str) -> None:
    """Add --record and --stream; `stream_is` says what the stream is for."""
    parser.add_argument("--record", help=f"package.module:Type (default: $SLUICE_RECORD, else {DEFAULT_RECORD})")
    parser.add_argument("--stream", default="", help=f"the stream, where $SLUICE_STREAMS declares several; {stream_is}")


def tables_of(options: argparse.Namespace, environ: Mapping[str, str]) -> list[Table]:
    """Return the tables that the options mean.

    Raises:
        RecordTypeError: a type or the streams cannot be used.
    """
    record, stream, spec = options.record, options.stream, environ.get(_STREAMS, "")
    if record is not None or not spec:
        if stream:
            raise RecordTypeError(f"--stream {stream} needs {_STREAMS}, which names the streams")
        return [checked_table(load_record_type(record or environ.get("SLUICE_RECORD") or DEFAULT_RECORD))]
    streams = load_streams(load_settings({_STREAMS: spec}).store, only_describes=True)
    return [streams.table(stream)] if stream else [*streams.tables]


def only_table(tables: Sequence[Table]) -> Table:
    """Return the only table that the options mean.

    Raises:
        RecordTypeError: there are several.
    """
    table, *others = tables
    if others:
        names = ", ".join(each.name for each in (table, *others))
        raise RecordTypeError(f"{_STREAMS} declares several streams: choose one with --stream: {names}")
    return table
