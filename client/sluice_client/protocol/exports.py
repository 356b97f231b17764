"""Exports: a whole window in one response, which is complete or of no use (docs/api.md, "Everything at once")."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from sluice_client.errors import ResponseError
from sluice_client.protocol.effects import Broken, Emit, Read, Reply, Steps
from sluice_client.protocol.requests import Feed, Range, export_request
from sluice_client.protocol.retry import Attempts, RetryPolicy, open_stream

ExportFormat = Literal["ndjson", "csv", "arrow"]
_ARROW_END = b"\xff\xff\xff\xff\0\0\0\0"
_POSITION = ("ingest_time", "delivery_key")


class Begin(msgspec.Struct, frozen=True):
    """The bytes that follow begin the file; discard those before, which belong to an attempt that broke off."""


class Exported(msgspec.Struct, frozen=True):
    """A complete export. `resume_cursor` continues from the end of its window; `records` is None for Arrow."""

    resume_cursor: str
    records: int | None = None


class Closing:
    """The last line of a stream, apart from what comes before it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.line = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what `chunk` shows not to be the last line."""
        held = self.line + chunk
        cut = held.rfind(b"\n", 0, max(len(held) - 1, 0)) + 1
        self.line = held[cut:]
        return held[:cut]


def download(
    feed: Feed, where: Range, format_name: ExportFormat, policy: RetryPolicy, *, fields: Sequence[str] = ()
) -> Steps[Begin | bytes, Exported]:
    """Emit the bytes of a file, without the closing line; after a failure they begin again.

    Raises:
        ProblemError, UnreachableError: as `open_stream`.
    """
    request, attempts = export_request(feed, where, format_name, fields=fields), Attempts(policy)
    while True:
        yield Emit(Begin())  # before the request: a caller who wants no second attempt ends here
        reply: Reply = yield from open_stream(request, attempts)
        closing, last, chunk = Closing(), b"", (yield Read())
        while isinstance(chunk, bytes):
            if format_name == "arrow":
                last = (last + chunk)[-len(_ARROW_END) :]
                yield Emit(chunk)
            elif ready := closing.feed(chunk):
                yield Emit(ready)
            chunk = yield Read()
        if isinstance(chunk, Broken):
            yield attempts.fail(chunk)
            continue
        exported = _end(format_name, last if format_name == "arrow" else closing.line, reply.headers)
        if exported is not None:
            return exported
        yield attempts.fail(Broken("the export ended without its closing mark"))


def records(
    feed: Feed, where: Range, policy: RetryPolicy, *, fields: Sequence[str] = ()
) -> Steps[list[dict[str, Any]], Exported]:
    """Emit the records of a window; after a failure it continues behind the last one.

    Records are in the order of (`ingest_time`, `delivery_key`), and nothing appears before the end of the window. So
    reading again from the last `ingest_time`, without what had been read of it, continues exactly.

    Raises:
        ProblemError, UnreachableError, ResponseError: as `open_stream`; not records.
    """
    chosen = (*fields, *(name for name in _POSITION if name not in fields)) if fields else ()
    attempts, position, count = Attempts(policy), ("", ""), 0
    while True:
        reply: Reply = yield from open_stream(export_request(feed, where, "ndjson", fields=chosen), attempts)
        closing, rest, chunk = Closing(), b"", (yield Read())
        while isinstance(chunk, bytes):
            *lines, rest = (rest + closing.feed(chunk)).split(b"\n")
            batch = list(_after(position, lines))
            if batch:
                attempts.succeed()
                count += len(batch)
                position = (batch[-1]["ingest_time"], batch[-1]["delivery_key"])
                yield Emit([_only(record, fields) for record in batch])
            chunk = yield Read()
        ended = None if isinstance(chunk, Broken) else _end("ndjson", closing.line, reply.headers)
        if ended is not None:
            return Exported(ended.resume_cursor, count)
        yield attempts.fail(chunk or Broken("the export ended without its closing line"))
        if position[0]:
            where = Range(since=position[0], until=where.until)


def _after(position: tuple[str, str], lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ResponseError(f"the response is not a line for each record: {error}") from error
        if record["ingest_time"] != position[0] or record["delivery_key"] > position[1]:
            yield record


def _only(record: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Drop the members that only the position needed."""
    if not fields:
        return record
    tops = {field.partition(".")[0] for field in fields}
    return {name: value for name, value in record.items() if name in tops}


class _EndLine(msgspec.Struct):
    end: bool
    records: int
    resume_cursor: str


def _end(format_name: str, last: bytes, headers: Mapping[str, str]) -> Exported | None:
    """Return the end of a complete response, or None."""
    cursor = headers.get("sluice-resume-cursor", "")
    if format_name == "arrow":
        return Exported(cursor) if last == _ARROW_END else None
    if format_name == "csv":
        mark, _, count = last.decode(errors="replace").strip().partition(",")
        number = count.partition(",")[0]
        return Exported(cursor, int(number) if number.isdecimal() else None) if mark == "#end" else None
    try:
        line = msgspec.json.decode(last, type=_EndLine)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Exported(line.resume_cursor, line.records) if line.end else None
