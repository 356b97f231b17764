"""Erase one record: find its rows and rejects, delete them, and count what remains. The same for every store."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from app.query.read.arrow_rows import rows_of_arrow
from app.runtime.compression import GzipError, GzipTooLargeError, inflated
from app.runtime.instants import DAY_US, epoch_us
from app.schema.columns import Column, Kind
from app.schema.table import Table
from app.schema.values import read_id
from app.stores.backend import Eraser
from app.stores.query import Condition, Deletion, Occurrences, PayloadSearch
from app.stores.sink import whole_key
from app.stores.source import QueryRunner, Row

# One DELETE may modify 4,000 hourly partitions (https://cloud.google.com/bigquery/quotas#partitioned_tables).
_LONGEST_US = 100 * DAY_US
_KEYS_AT_ONCE = 500
_COLUMNS = ("ingest_time", "delivery_key", "message_id", "part", "parts", "payload", "stream")


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of both tables: versions and copies of the record, and rejects (each part of a large one is a row)."""

    records: int = 0
    rejects: int = 0

    @property
    def total(self) -> int:
        """The rows of both."""
        return self.records + self.rejects


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an erasure; `remaining` counts rows that were stored while it ran."""

    erased: Counts
    remaining: Counts


class _Reject(msgspec.Struct, frozen=True):
    ingest_us: int
    key: str


class _CutReject(msgspec.Struct):
    """A reject whose bytes span several rows: all its rows, and the parts not searched yet.

    A part may have several rows: the message was delivered twice, or a late row was stored again under another key.
    The rows of one reject are erased together or not at all.
    """

    rows: list[_Reject] = []
    payloads: dict[int, bytes] = {}
    hashes: dict[int, int] = {}
    """The hash of each part seen so far, which outlives its bytes."""
    is_match: bool = False
    """Whether the reject holds the record to erase."""

    def add(self, part: int, parts: int, payload: bytes) -> bytes | None:
        """Add the bytes of one row; return the bytes that can be searched now: the payload, once no part is missing.

        A copy adds nothing. A row of the same part with different bytes is not a copy and is searched on its own.
        """
        if part in self.hashes:
            return None if self.hashes[part] == hash(payload) else payload
        self.hashes[part], self.payloads[part] = hash(payload), payload
        if len(self.payloads) < parts:
            return None
        whole = self.joined()
        self.payloads.clear()
        return whole

    def joined(self) -> bytes:
        """Return the parts not searched yet, in order."""
        return b"".join(payload for _, payload in sorted(self.payloads.items()))


class Erasure:
    """Erases records of one stream from the tables of one store.

    A reject without a stream may be of any: no stream took it, or it was stored by an earlier release.
    """

    def __init__(self, runner: QueryRunner, eraser: Eraser, records: Table, rejects: Table) -> None:
        if records.id is None:
            raise ValueError("the record type names no id")
        self._runner, self._eraser = runner, eraser
        self._records, self._rejects, self._id = records, rejects, records.id

    async def count(self, record_id: str | int) -> Counts:
        """Return how many rows an erasure would delete.

        Raises:
            QueryError: the store gave no answer.
        """
        records, *_ = await self._span(record_id)
        return Counts(records=records, rejects=len(await self._matching_rejects(record_id)))

    async def erase(self, record_id: str | int) -> Erased:
        """Delete every row of the record, and every reject that holds it.

        A message that is acknowledged or redelivered later stores a new record: erase again after a replay.

        Raises:
            QueryError: the store gave no answer; rows deleted by then are gone, and the call may be repeated.
        """
        count, first_us, last_us = await self._span(record_id)
        erased = remaining = 0
        if count:
            erased = await self._delete(self._records, self._is(record_id), first_us, last_us)
            remaining, *_ = await self._span(record_id)
        rejects = await self._matching_rejects(record_id)
        erased_rejects = await self._delete_rejects(rejects) if rejects else 0
        remaining_rejects = max(len(rejects) - erased_rejects, 0)
        await self._eraser.advance()  # always: an earlier attempt may have failed just before this call
        return Erased(
            erased=Counts(records=erased, rejects=erased_rejects),
            remaining=Counts(records=remaining, rejects=remaining_rejects),
        )

    async def _span(self, record_id: str | int) -> tuple[int, int, int]:
        """Return the number of rows, and the timestamps of the first and the last."""
        query = Occurrences(table=self._records.name, conditions=(self._is(record_id),))
        (row,) = (await self._runner.rows(query)).rows
        if not row["found"]:
            return 0, 0, 0
        return row["found"], epoch_us(row["first"]), epoch_us(row["last"])

    async def _delete_rejects(self, rejects: Sequence[_Reject]) -> int:
        erased = 0
        ordered = sorted(rejects, key=lambda each: each.ingest_us)
        for start in range(0, len(ordered), _KEYS_AT_ONCE):
            some = ordered[start : start + _KEYS_AT_ONCE]
            keys = Condition("delivery_key", (), "in", Kind.STRING, tuple(each.key for each in some))
            erased += await self._delete(self._rejects, keys, some[0].ingest_us, some[-1].ingest_us)
        return erased

    def _is(self, record_id: str | int) -> Condition:
        return Condition(self._id.name, (), "eq", self._id.kind, (record_id,))

    async def _delete(self, table: Table, condition: Condition, first_us: int, last_us: int) -> int:
        """Delete the rows that match `condition`; return how many."""
        erased = 0
        for from_us, to_us in _ranges(first_us, last_us):
            deletion = Deletion(table=table.name, first_us=from_us, last_us=to_us, conditions=(condition,))
            erased += await self._eraser.delete(deletion)
        return erased

    async def _matching_rejects(self, record_id: str | int) -> list[_Reject]:
        rejects: list[_Reject] = []
        cut: defaultdict[tuple[str, str | None, int], _CutReject] = defaultdict(_CutReject)
        async for rows in self._rejects_that_may_hold(record_id):
            for row in rows:
                if row["stream"] not in {None, self._records.name}:  # the id means something else there
                    continue
                part, parts, payload = row["part"], row["parts"], row["payload"]
                reject = _Reject(epoch_us(row["ingest_time"]), row["delivery_key"])
                if parts == 1:
                    if await self._holds(payload, record_id):
                        rejects.append(reject)
                    continue
                # A replay that is rejected again keeps the key but not the message id.
                whole = cut[whole_key(reject.key, part), row["message_id"], parts]
                whole.rows.append(reject)
                if not whole.is_match and (readable := whole.add(part, parts, payload)) is not None:
                    whole.is_match = await self._holds(readable, record_id)
        for whole in cut.values():  # payloads remain where a part was lost: search the parts that exist
            if whole.is_match or (whole.payloads and await self._holds(whole.joined(), record_id)):
                rejects += whole.rows
        return rejects

    async def _holds(self, payload: bytes, record_id: str | int) -> bool:
        return await asyncio.to_thread(holds_record, payload, self._id, record_id)

    async def _rejects_that_may_hold(self, record_id: str | int) -> AsyncIterator[list[Row]]:
        """Yield the reject rows that may hold the id: those with the id itself, a backslash, a NUL or a gzip header.

        All parts of a split reject are included, because the id may span two of them.
        """
        forms = (form.encode("utf-8", "surrogatepass") for form in forms_of(self._id, record_id))
        query = PayloadSearch(
            table=self._rejects.name, columns=_COLUMNS, contained=(*forms, b"\\", b"\0"), beginning=GZIP
        )
        columns = tuple(column for column in self._rejects.columns if column.name in _COLUMNS)
        async with aclosing(self._runner.arrow(query)) as pieces:
            async for rows in rows_of_arrow(columns, pieces):
                yield rows


def _ranges(first_us: int, last_us: int) -> Iterator[tuple[int, int]]:
    """Yield time ranges, both ends included, short enough for one DELETE."""
    for from_us in range(first_us, last_us + 1, _LONGEST_US):
        yield from_us, min(from_us + _LONGEST_US - 1, last_us)


GZIP = b"\x1f\x8b"
_MAX_INFLATED_BYTES = 64 * 1024**2
_WORD = rb"[A-Za-z0-9_-]"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def forms_of(column: Column, record_id: str | int) -> tuple[str, ...]:
    """Return the spellings of an id that producers use: a UUID in either case, with or without hyphens."""
    text = str(record_id)
    if not column.is_uuid:
        return (text,)
    return tuple({text, text.upper(), text.replace("-", ""), text.replace("-", "").upper()})


def holds_record(payload: bytes, column: Column, record_id: str | int) -> bool:
    """Return whether `payload` holds a record whose id, the member of `column`, is `record_id`; see above."""
    return any(_holds(raw, column, record_id) for raw in _texts_of(payload))


def _holds(raw: bytes | bytearray, column: Column, record_id: str | int) -> bool:
    try:
        return any(_is_record(record, column, record_id) for record in _records(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return any(_mentions(raw, form) for form in forms_of(column, record_id))


def _records(raw: bytes | bytearray) -> Iterator[Any]:
    try:
        values = [msgspec.json.decode(raw)]
    except msgspec.DecodeError:  # NDJSON, or not JSON at all
        values = [msgspec.json.decode(line) for line in raw.splitlines() if line.strip()]
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _is_record(value: Any, column: Column, record_id: str | int) -> bool:
    # Compared as text: a number where the type requires a string is still a reject of that id.
    return isinstance(value, dict) and column.name in value and read_id(column, str(value[column.name])) == record_id


def _mentions(raw: bytes | bytearray, text: str) -> bool:
    escaped = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    raws = {form.encode(encoding, "surrogatepass") for form in escaped for encoding in _ENCODINGS}
    return any(re.search(rb"(?<!%b)%b(?!%b)" % (_WORD, re.escape(each), _WORD), raw) for each in raws)


def _texts_of(payload: bytes) -> Iterator[bytes | bytearray]:
    """Yield the texts to search; for a broken or very large gzip, the readable part and the raw bytes."""
    if not payload.startswith(GZIP):
        yield payload
        return
    text = bytearray()
    try:
        for _ in inflated(payload, _MAX_INFLATED_BYTES, text):
            pass
    except (GzipError, GzipTooLargeError):
        yield payload
    yield text
