"""Find the files of a source: a file, a folder, a glob, or `gs://bucket/prefix`.

The path below the source, not the place of the source, identifies a file in its records' keys: a folder may be moved,
or copied to Cloud Storage, between two runs.
"""

import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from sluice.ops.backfill.cloud_storage import Bucket
from sluice.ops.backfill.formats import SourceError, format_of


class Object(msgspec.Struct, frozen=True):
    """A file of a source: its path below the source, its format, its size, and how it is opened."""

    path: str
    format: str
    size_bytes: int
    open: Callable[[], IO[bytes]]


def find_objects(source: str, form: str, environ: Mapping[str, str]) -> Sequence[Object]:
    """Return the files of `source` in the order of their paths. `form` is their format; "" for what each name means.

    Raises:
        SourceError: there are none, or the format of a single file is unknown.
    """
    is_remote = source.startswith("gs://")
    objects = [*(_in_bucket(source, form, environ) if is_remote else _on_disk(source, form))]
    if not objects:
        raise SourceError(
            f"{source}: no file to read; names must end in .ndjson, .jsonl, .csv, .parquet, .arrow or .avro (or .gz "
            "after the first three), or pass --format"
        )
    return sorted(objects, key=lambda each: each.path)


def _on_disk(source: str, form: str) -> Iterator[Object]:
    path = Path(source)
    if path.is_file():
        yield _file(path, path.parent, form or format_of(path.name) or _unknown(source))
        return
    if path.is_dir():
        root, paths = path, [each for each in path.rglob("*") if not _is_hidden(each.relative_to(path))]
    elif glob.has_magic(source):
        root = Path(*(part for part in _before_magic(path)))
        paths = [Path(each) for each in glob.glob(source, recursive=True)]  # noqa: PTH207 - it may be absolute
    else:
        raise SourceError(f"{source}: there is no such file or folder")
    for each in paths:
        known = form or format_of(each.name)
        if each.is_file() and known:
            yield _file(each, root, known)


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _file(path: Path, root: Path, form: str) -> Object:
    return Object(path.relative_to(root).as_posix(), form, path.stat().st_size, lambda: _opened(path))


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: {os.strerror(error.errno or 0)}") from error


def _unknown(source: str) -> str:
    raise SourceError(f"{source}: its name does not say what it is; pass --format")


def _in_bucket(source: str, form: str, environ: Mapping[str, str]) -> Iterator[Object]:
    name, _, prefix = source.removeprefix("gs://").partition("/")
    if not name:
        raise SourceError(f"{source}: expected gs://bucket/prefix")
    bucket = Bucket(name, environ.get("STORAGE_EMULATOR_HOST", ""))
    folder = prefix[: prefix.rfind("/") + 1]
    for each in bucket.list(prefix):
        known = form or format_of(each.name)
        if known and not each.name.endswith("/"):
            path = each.name.removeprefix(folder)
            yield Object(path, known, each.size_bytes, lambda blob=each: bucket.open(blob))  # type: ignore[misc]
