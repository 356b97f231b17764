"""Find the files of a source: a file, a folder, a glob, or `gs://bucket/prefix`.

The path below the source, not the place of the source, identifies a file in its records' keys: a folder may be moved,
or copied to Cloud Storage, between two runs.
"""

import glob
import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

import msgspec

from app.runtime.imports import missing_package
from sluice.ops.backfill.formats import SourceError, format_of

_RANGE_BYTES = 8 * 1024**2


class Object(msgspec.Struct, frozen=True):
    """A file of a source: its path below the source, its format, and how it is opened."""

    path: str
    format: str
    open: Callable[[], IO[bytes]]


def find_objects(source: str, form: str) -> Sequence[Object]:
    """Return the files of `source` in the order of their paths. `form` is their format; "" for what each name means.

    Raises:
        SourceError: there are none, or the format of a single file is unknown.
    """
    objects = [*(_in_bucket(source, form) if source.startswith("gs://") else _on_disk(source, form))]
    if not objects:
        raise SourceError(
            f"{source}: no file to read; names must end in .ndjson, .jsonl, .csv, .parquet or .avro (or .gz "
            "after the first three), or pass --format"
        )
    return sorted(objects, key=lambda each: each.path)


def _on_disk(source: str, form: str) -> Iterator[Object]:
    path = Path(source)
    if path.is_file():
        known = form or format_of(path.name)
        if known is None:
            raise SourceError(f"{source}: its name does not say what it is; pass --format")
        yield Object(path.name, known, partial(_opened, path, buffering=0))
        return
    if path.is_dir():
        root = path
        paths = [each for each in path.rglob("*") if not any(part[0] in "._" for part in each.relative_to(path).parts)]
    elif glob.has_magic(source):
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        paths = [Path(each) for each in glob.glob(source, recursive=True)]  # noqa: PTH207 - it may be absolute
    else:
        raise SourceError(f"{source}: there is no such file or folder")
    for each in paths:
        known = form or format_of(each.name)
        if each.is_file() and known:
            yield Object(each.relative_to(root).as_posix(), known, partial(_opened, each, buffering=0))


def _in_bucket(source: str, form: str) -> Iterator[Object]:
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
        known = form or format_of(each.name)
        if known and not each.name.endswith("/"):
            path = each.name.removeprefix(prefix[: prefix.rfind("/") + 1])
            yield Object(path, known, partial(_opened, each, chunk_size=_RANGE_BYTES))


def _opened(file: Any, **how: int) -> IO[bytes]:
    """Return a file, or a blob, as one that is read in large pieces."""
    return io.BufferedReader(file.open("rb", **how), _RANGE_BYTES)
