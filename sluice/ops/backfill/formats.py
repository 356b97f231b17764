"""Read the items of a file: its format by its name, and NDJSON, the simplest of them.

An item is what becomes one message: the bytes of a record, or an archived message.
"""

import gzip
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from pkgutil import resolve_name
from typing import IO, NamedTuple

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.proof import Proofs
from app.record import RejectReason
from app.runtime.imports import missing_package
from app.schema.table import Table

_any = msgspec.json.Decoder(msgspec.Raw)


class SourceError(Exception):
    """A source cannot be read, or not any further; the message names the object and what to do."""


class Fault(NamedTuple):
    """Why no record could be made of a part of a file."""

    reason: RejectReason
    detail: str


class Item(msgspec.Struct, frozen=True):
    """The bytes of one record, and its number in the object, counted from 0.

    `message` is the archived message itself, which has a key of its own. With a `fault`, `data` are the bytes as they
    are in the file.
    """

    row: int
    data: bytes
    message: Message | None = None
    fault: Fault | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What readers need to know besides the file.

    A record longer than `max_record_bytes` is cut there, and rejected.
    """

    table: Table
    proofs: Proofs
    max_record_bytes: int


_READERS = {
    "ndjson": "sluice.ops.backfill.formats:read_ndjson",
    "csv": "sluice.ops.backfill.csv_rows:read_csv",
    "parquet": "sluice.ops.backfill.parquet_rows:read_parquet",
    "avro": "sluice.ops.backfill.avro_messages:read_avro",
}
FORMATS = tuple(_READERS)
_SUFFIXES = {
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "csv": "csv",
    "parquet": "parquet",
    "avro": "avro",
}


def format_of(path: str) -> str | None:
    """Return the format that the name of a file means; None if it means none. `.gz` alone is compressed NDJSON."""
    name = path.rpartition("/")[2].lower()
    stem = name.removesuffix(".gz")
    form = _SUFFIXES.get(stem.rpartition(".")[2]) if "." in stem else None
    return "ndjson" if form is None and stem != name else form


def read_items(path: str, form: str, file: Callable[[], IO[bytes]], reading: Reading) -> Generator[Item, None, None]:
    """Yield the items of a file of this format, which `file` opens.

    Raises:
        SourceError: the file is not of the format, or is damaged; the items before it were yielded.
    """
    row = 0
    try:
        read = resolve_name(_READERS[form])
        is_compressed = path.lower().endswith(".gz")
        with file() as stored, gzip.open(stored) if is_compressed else nullcontext(stored) as opened:
            for item in read(opened, reading):
                row = item.row + 1
                yield item
    except ModuleNotFoundError as error:
        raise SourceError(missing_package(f"{path}: {form}", error, "backfill")) from error
    except Exception as error:  # each library, and Cloud Storage, has errors of its own for a file that it cannot read
        text = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: cannot be read as {form} after {row} records: {text}") from error


def json_or_text(text: str) -> str | msgspec.Raw:
    """Return a text that is JSON as that JSON, and any other as it is."""
    try:
        return _any.decode(text)
    except msgspec.DecodeError:
        return text


def read_ndjson(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each line that is not blank."""
    most, row = reading.max_record_bytes, 0
    while line := file.readline(most + 2):
        record = line.strip()
        if len(line) > most and not line.endswith(b"\n"):
            yield Item(row, line[:most], fault=Fault("too_large", f"a line of more than {most} bytes; it was cut"))
            while line and not line.endswith(b"\n"):
                line = file.readline(most)
        elif record:
            yield Item(row, record)
        else:
            continue
        row += 1
