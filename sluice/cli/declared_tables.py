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


def add_type_arguments(parser: argparse.ArgumentParser, stream_is: str = "") -> None:
    """Add --record and --stream to a command below another one, which may have read them already."""
    about_record, about_stream = type_help(stream_is)
    # Suppressed: without a value here, the one given before the command's name stays.
    parser.add_argument("--record", default=argparse.SUPPRESS, help=about_record)
    parser.add_argument("--stream", default=argparse.SUPPRESS, help=about_stream)


def type_help(stream_is: str = "") -> tuple[str, str]:
    """Return what --record and --stream mean."""
    return (
        f"package.module:Type (default: $SLUICE_RECORD, else {DEFAULT_RECORD})",
        f"the stream, where $SLUICE_STREAMS declares several{stream_is}",
    )


def tables_of(options: argparse.Namespace, environ: Mapping[str, str]) -> list[Table]:
    """Return the tables that the options mean.

    Raises:
        RecordTypeError: a type or the streams cannot be used.
    """
    record, stream = getattr(options, "record", None), getattr(options, "stream", "")
    spec = environ.get(_STREAMS, "")
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
