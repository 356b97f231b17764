"""Count the undeclared members of records that were stored or rejected, and note their names."""

import asyncio
import logging
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from app.ingest.decode.envelope import Message
from app.ingest.decode.rejects import Reject
from app.ingest.decode.rows import Rows
from app.ingest.decode.versions import VersionReader
from app.schema.table import Table
from app.schema.undeclared_members import Outcome, UndeclaredReader, member_path, undeclared_reader
from app.telemetry.metrics import Metrics

_log = logging.getLogger("sluice.ingest")
_YIELD_BYTES = 64 * 1024  # a fraction of a millisecond between two turns of the event loop
_YIELD_MEMBERS = 200  # likewise
# msgspec names the member, and the object that has it.
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<parent>[^`]*)`)?")
_POSITION = re.compile(r"\[\d+\]")
_ReaderOf = Callable[[bytes, Mapping[str, str]], UndeclaredReader | None]


class UndeclaredMembers:
    """Counts the undeclared members of one stream. `looks`: its type keeps or drops some, so stored rows matter."""

    def __init__(self, table: Table, metrics: Metrics) -> None:
        self._reader_of = _reader_of(table)
        self._stream, self._metrics, self._seen = table.name, metrics, metrics.seen_members[table.name]
        self.looks = self._reader_of is not None

    async def note(self, message: Message, rows: Rows, refused: Container[int], rejects: Iterable[Reject]) -> None:
        """Count the members of a message that is durable: those of `rejects`, and those of `rows` but for `refused`."""
        self._note_rejected(rejects)
        if self._reader_of is not None:
            await self._note_stored(self._reader_of, message, rows, refused)

    async def _note_stored(self, reader_of: _ReaderOf, message: Message, rows: Rows, refused: Container[int]) -> None:
        """Count the members kept or dropped from `rows`, except those at the indexes `refused`; yield between records.

        The log line names the message and how many, never a member: undeclared names are content of the record.
        """
        dropped = unyielded = count = 0
        for row in rows:
            if row.index in refused:
                continue
            reader = reader_of(row.raw, message.attributes)
            if reader is None or (reader.keeps and row.index not in rows.with_undeclared):
                continue
            for member in reader.find(row.raw):
                self._note(member.path, "kept" if member.is_kept else "dropped")
                dropped += not member.is_kept
                count += 1
                if count % _YIELD_MEMBERS == 0:
                    await asyncio.sleep(0)
            unyielded += len(row.raw)
            if unyielded >= _YIELD_BYTES:
                unyielded = 0
                await asyncio.sleep(0)
        if dropped:
            _log.warning(
                "dropped %d undeclared members of message %s, as the record type requires",
                dropped,
                message.message_id or message.key,
            )

    def _note_rejected(self, rejects: Iterable[Reject]) -> None:
        """Count the members for which records were rejected."""
        for each in rejects:
            if each.reason == "invalid":
                for detail in [fault.detail for fault in each.faults] or [each.detail]:
                    for path in unknown_members(detail):
                        self._note(path, "rejected")

    def _note(self, path: str, outcome: Outcome) -> None:
        self._seen.note(path, outcome)
        self._metrics.undeclared_members[outcome, self._stream] += 1
        if outcome == "dropped":
            self._metrics.dropped_members += 1


def _reader_of(table: Table) -> _ReaderOf | None:
    """Return what finds the reader for a record of a message with some attributes; None if none is ever needed."""
    if table.versions is not None:
        versions = VersionReader(table.versions)
        return versions.undeclared_of if versions.accepts_undeclared else None
    reader = undeclared_reader(table.record_type)
    return None if reader is None else lambda _, __: reader


def unknown_members(detail: str) -> Iterator[str]:
    """Yield the paths, without positions, of the undeclared members that an error message of msgspec names."""
    for member in _UNKNOWN.finditer(detail):
        yield member_path(_POSITION.sub("[]", member["parent"] or ""), member["name"])
