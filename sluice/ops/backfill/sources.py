"""The files of a source and the items in them: NDJSON, and the Avro files that a Cloud Storage subscription writes.

An item is what becomes one message: the bytes of a record, or an archived message. The path below the source, not the
place of the source, identifies a file in its records' keys: a folder may be moved, or copied to Cloud Storage, between
two runs.
"""

import gzip
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import msgspec

from app.auth.signatures import Proofs
from app.ingest.decode.envelope import EnvelopeError, Message, message_of
from app.record import RejectReason
from app.runtime.imports import missing_package

Format = Literal["ndjson", "avro"]
_SUFFIXES: dict[str, Format] = {"ndjson": "ndjson", "jsonl": "ndjson", "json": "ndjson", "avro": "avro"}
_File = IO[bytes] | gzip.GzipFile
_RANGE_BYTES = 8 * 1024**2
_WITH_METADATA, _DATA_ONLY = "com.google.pubsub.PubsubMessageWithMetadata", "com.google.pubsub.PubsubMessage"


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


class Object(msgspec.Struct, frozen=True):
    """A file of a source: its path below the source, its format, and how it is opened."""

    path: str
    format: Format
    open: Callable[[], IO[bytes]]


class _Data(msgspec.Struct):
    """An archived message without metadata."""

    data: bytes


class _Archived(_Data):
    """An archived message with metadata, as far as a push of it would be the same."""

    attributes: dict[str, str]
    message_id: str
    publish_time: datetime


def format_of(path: str) -> Format | None:
    """Return the format that the name of a file means; None if it means none. `.gz` alone is compressed NDJSON."""
    name = path.rpartition("/")[2].lower()
    stem = name.removesuffix(".gz")
    form = _SUFFIXES.get(stem.rpartition(".")[2]) if "." in stem else None
    return "ndjson" if form is None and stem != name else form


def find_objects(source: str) -> Sequence[Object]:
    """Return the files of a path, a folder or `gs://bucket/prefix`, in the order of their paths.

    Raises:
        SourceError: there are none.
    """
    objects = [*(_in_bucket(source) if source.startswith("gs://") else _on_disk(source))]
    if not objects:
        raise SourceError(
            f"{source}: no file to read: names must end in .ndjson, .jsonl, .json or .avro, or in .gz after one of them"
        )
    return sorted(objects, key=lambda each: each.path)


def _on_disk(source: str) -> Iterator[Object]:
    path = Path(source)
    if not path.exists():
        raise SourceError(f"{source}: there is no such file or folder")
    root, files = (path, path.rglob("*")) if path.is_dir() else (path.parent, [path])
    for each in files:
        below = each.relative_to(root)
        form = format_of(each.name)
        if each.is_file() and form and not any(part[0] in "._" for part in below.parts):
            yield Object(below.as_posix(), form, partial(_opened, each, buffering=0))


def _in_bucket(source: str) -> Iterator[Object]:
    """Yield the objects below a prefix; each is read in ranges of the generation that is listed here."""
    bucket, _, prefix = source.removeprefix("gs://").partition("/")
    if not bucket:
        raise SourceError(f"{source}: expected gs://bucket/prefix")
    try:
        from google.cloud.storage import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SourceError(missing_package("gs://", error, "backfill")) from error
    try:
        client = Client(project="unused")  # objects are read without one
        blobs = [*client.list_blobs(bucket, prefix=prefix)]
    except Exception as error:  # of the credentials, of the network, or Cloud Storage's answer
        raise SourceError(f"gs://{bucket}: {' '.join(str(error).split())}") from error
    for each in blobs:
        form = format_of(each.name)
        if form and not each.name.endswith("/"):
            path = each.name.removeprefix(prefix[: prefix.rfind("/") + 1])
            yield Object(path, form, partial(_opened, each, chunk_size=_RANGE_BYTES))


def _opened(file: Any, **how: int) -> IO[bytes]:
    """Return a file, or a blob, as one that is read in large pieces."""
    return io.BufferedReader(file.open("rb", **how), _RANGE_BYTES)


def read_items(each: Object, proofs: Proofs, max_record_bytes: int) -> Generator[Item, None, None]:
    """Yield the items of a file. A record longer than `max_record_bytes` is cut there, and has a fault.

    Raises:
        SourceError: the file is not of its format, or is damaged; the items before it were yielded.
    """
    row = 0
    try:
        is_compressed = each.path.lower().endswith(".gz")
        with each.open() as stored, gzip.open(stored) if is_compressed else nullcontext(stored) as opened:
            read = _avro(opened, proofs) if each.format == "avro" else _lines(opened, max_record_bytes)
            for item in read:
                row = item.row + 1
                yield item
    except ModuleNotFoundError as error:
        raise SourceError(missing_package(f"{each.path}: {each.format}", error, "backfill")) from error
    except Exception as error:  # each library, and Cloud Storage, has errors of its own for a file that it cannot read
        text = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{each.path}: cannot be read as {each.format} after {row} records: {text}") from error


def _lines(file: _File, most: int) -> Iterator[Item]:
    """Yield each line that is not blank."""
    row = 0
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


def _avro(file: Any, proofs: Proofs) -> Iterator[Item]:
    """Yield each message of a file that a Cloud Storage subscription has written.

    With metadata, it has the id and the publish time of its push, and so the same delivery key:
    https://cloud.google.com/pubsub/docs/create-cloudstorage-subscription#file_format. Without, it is the data only.
    """
    import fastavro  # noqa: PLC0415 - an extra

    records: Any = fastavro.reader(file)
    schema = records.writer_schema
    name = schema.get("name", "") if isinstance(schema, dict) else ""
    full = name if "." in name else f"{schema.get('namespace', '')}.{name}" if name else ""
    if full not in {_WITH_METADATA, _DATA_ONLY}:
        raise ValueError(
            f"the schema is {full or 'no record'}: expected {_WITH_METADATA} or {_DATA_ONLY}, which a Cloud Storage "
            "subscription writes unless it uses the topic's schema"
        )
    kind = _Archived if full == _WITH_METADATA else _Data
    for row, record in enumerate(records):
        read = msgspec.convert(record, kind, builtin_types=(bytes, datetime))
        yield _archived(row, read, proofs) if isinstance(read, _Archived) else Item(row, read.data)


def _archived(row: int, archived: _Archived, proofs: Proofs) -> Item:
    """Return a message as its push would be, but with no subscription and no trace: those were another delivery's."""
    try:
        message = message_of(
            data=archived.data,
            attributes=archived.attributes,
            subscription=None,
            message_id=archived.message_id,
            publish_time=archived.publish_time,
            ordering_key=None,
            proofs=proofs,
        )
    except EnvelopeError as error:
        return Item(row, archived.data, fault=Fault("malformed", str(error)[:500]))
    return Item(row, archived.data, msgspec.structs.replace(message, trace_id=None, parent=None))
