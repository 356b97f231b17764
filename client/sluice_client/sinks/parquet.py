"""A folder of Parquet files, and the manifest that counts them.

    00000001.parquet, 00000002.parquet, …   records in the order of the feed
    sluice.json                             the number of files, the columns, and the cursor behind the last file

A commit writes the next file, then replaces the manifest. After a crash between the two, the manifest names the cursor
before that file, and the next commit puts a file of the same name in its place. So a reader that takes every
`*.parquet` sees no record twice at any time.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet

from sluice_client.cursors import replace_file, sync_folder
from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column, Row
from sluice_client.sinks.values import PYTHON, converter

_MANIFEST = "sluice.json"
_TYPES: Mapping[str, Any] = {
    "BOOL": pa.bool_(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "JSON": pa.string(),
}


class _Manifest(msgspec.Struct, frozen=True):
    feed: str
    columns: dict[str, str]
    files: int = 0
    cursor: str = ""


class ParquetSink:
    """A folder of files with up to `file_rows` records, of which each is complete after `file_s` at the latest."""

    def __init__(self, path: str, _table: str = "", *, file_rows: int = 100_000, file_s: float = 60.0) -> None:
        """Make the folder.

        Raises:
            TargetError: it is no folder, or cannot be one.
        """
        self._folder, self._file_rows, self._file_s = Path(path), file_rows, file_s
        self._columns: tuple[Column, ...] = ()
        # Rows and the cursor behind them, replaced at once: an interrupt must not find one without the other.
        self._held: tuple[list[list[Any]], str] = ([], "")
        self._since_s = time.monotonic()
        self._manifest = _Manifest("", {})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TargetError(f"{path} cannot be a folder: {error}") from error

    def open(self, key: str, columns: Sequence[Column], *, moved: bool = False, rewind: bool = False) -> str:
        """Read the manifest, or begin one."""
        if rewind:
            raise TargetError(f"{self._folder} cannot be rewound: Parquet files have no key that keeps records single")
        manifest = self._read()
        if manifest is None:
            if any(self._folder.glob("*.parquet")):
                raise TargetError(f"{self._folder} holds Parquet files that no manifest counts: choose another folder")
            self._save(_Manifest(key, {column.path: column.kind for column in columns}))
        elif manifest.feed == key:
            self._manifest = manifest
        elif moved and manifest.feed.partition("/v1/")[2] == key.partition("/v1/")[2]:
            self._save(msgspec.structs.replace(manifest, feed=key))
        else:
            raise TargetError(f"{self._folder} follows {manifest.feed}, not {key}")
        self._held, self._since_s = ([], self._manifest.cursor), time.monotonic()
        self.widen(columns)
        return self._manifest.cursor

    def widen(self, columns: Sequence[Column]) -> None:
        """Write what has the columns before; files from now on have these."""
        stored = self._manifest.columns
        for column in columns:
            before = stored.get(column.path, column.kind)
            if before != column.kind:
                raise TargetError(f"{self._folder}: {column.path} was {before} and is {column.kind} now")
            converter(column, PYTHON)
        self.flush()
        self._columns = tuple(columns)
        added = {column.path: column.kind for column in columns}
        if added.keys() - stored.keys():
            self._save(msgspec.structs.replace(self._manifest, columns=stored | added))

    def write(self, rows: Sequence[Row], cursor: str) -> int:
        """Hold rows back until there are enough for a file, or until it is time for one."""
        converters = [converter(column, PYTHON) for column in self._columns]
        try:
            new = [[convert(value) for convert, value in zip(converters, row, strict=True)] for row in rows]
        except (ValueError, ArithmeticError) as error:
            raise TargetError(f"{self._folder}: a record does not fit its column: {error}") from error
        self._held = (self._held[0] + new, cursor)
        if len(self._held[0]) >= self._file_rows or time.monotonic() - self._since_s >= self._file_s:
            self.flush()
        return len(rows)

    def flush(self) -> None:
        """Write what is held back as the next file, then the manifest that counts it."""
        self._since_s = time.monotonic()
        rows, cursor = self._held
        if cursor == self._manifest.cursor:
            return
        manifest = self._read()
        if manifest is None or (manifest.files, manifest.cursor) != (self._manifest.files, self._manifest.cursor):
            raise TargetError(f"another process follows into {self._folder}")
        files = self._manifest.files
        if rows:
            files += 1
            self._write_file(self._folder / f"{files:08}.parquet", rows)
        self._save(msgspec.structs.replace(self._manifest, files=files, cursor=cursor))
        self._held = ([], cursor)

    def close(self) -> None:
        """Forget what is held back: the manifest still names the cursor before it."""
        self._held = ([], self._manifest.cursor)

    def _write_file(self, path: Path, rows: Sequence[Sequence[Any]]) -> None:
        fields = [pa.field(column.path, _TYPES[column.kind]) for column in self._columns]
        values = zip(*rows, strict=True)
        try:
            arrays = [pa.array(each, type=field.type) for each, field in zip(values, fields, strict=True)]
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise TargetError(f"{self._folder}: a record does not fit its column: {error}") from error
        draft = path.with_name(f"{path.name}.draft")
        try:
            pyarrow.parquet.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), draft)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            raise TargetError(f"{path} cannot be written: {error}") from error

    def _read(self) -> _Manifest | None:
        path = self._folder / _MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Manifest)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TargetError(f"{path} is no manifest: {error}") from error

    def _save(self, manifest: _Manifest) -> None:
        try:
            replace_file(self._folder / _MANIFEST, msgspec.json.encode(manifest))
        except OSError as error:
            raise TargetError(f"{self._folder / _MANIFEST} cannot be written: {error}") from error
        self._manifest = manifest
