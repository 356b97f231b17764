"""Erase one record: all its versions and copies, and the rejects that hold it. It serves the right to erasure.

Its rows and rejects are found, deleted and counted, by the same queries for every store. `DELETE /v1/records/{id}` and
`DELETE /v1/records?id=` do so, with the scope `erase` only, and so does `sluice erase`.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.enums import HttpMethod
from msgspec import Meta

from app.auth.grants import Principal
from app.http import paths
from app.http.contract import JSON, TEXT, Answer, Contract, Parameter, media
from app.http.problems import ProblemError
from app.query.answer.conditional import Ask
from app.query.read.arrow_rows import rows_of_arrow
from app.query.request.parameters import Parameters
from app.query.routes import EndpointSpec, StreamParts
from app.runtime.compression import GzipError, GzipTooLargeError, inflate
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
        inflate(payload, _MAX_INFLATED_BYTES, text)
    except (GzipError, GzipTooLargeError):
        yield payload
    yield text


_AGAIN_S = 60  # a delivery in flight is stored by then
_PROBLEMS = {
    400: "The id is missing, or not percent-encoded UTF-8.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not erase, or may read only a part of the records.",
    404: "No record can have this id.",
    422: "The search for the record would read too much.",
    503: "The store is busy or unavailable. Rows that were already erased stay erased; send the request again.",
    504: "The store took too long; send the request again.",
}
_log = logging.getLogger("sluice.audit")


class ErasureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, and what was stored meanwhile."""

    erased: Annotated[Counts, Meta(description="Erased rows; 0 if there were none, which is not an error.")]
    remaining: Annotated[Counts, Meta(description="Rows that were stored while the erasure ran.")]
    complete: Annotated[bool, Meta(description="Whether nothing remains.")]
    retry_after_s: Annotated[
        int | None, Meta(description="When to send the request again; null if the erasure is complete.")
    ]
    other_instances_s: Annotated[float, Meta(description="How long other instances may still serve a cached response.")]


_EXAMPLE = {
    "erased": {"records": 3, "rejects": 1},
    "remaining": {"records": 0, "rejects": 0},
    "complete": True,
    "retry_after_s": None,
    "other_instances_s": 70.0,
}


def _contract(parameters: Mapping[str, Parameter]) -> Contract:
    return Contract(
        parameters=parameters,
        answers={
            200: Answer("Nothing remains.", {JSON: media(ErasureAnswer, _EXAMPLE)}),
            202: Answer("Some were stored meanwhile.", {JSON: media(ErasureAnswer, _EXAMPLE)}),
        },
        problems=_PROBLEMS,
    )


class EraseEndpoint:
    """Erases records. Other instances see an erasure within `others_s` seconds."""

    def __init__(self, erasure: Erasure, id_column: Column, others_s: float) -> None:
        self._erasure, self._id, self._others_s = erasure, id_column, others_s
        self._running: set[asyncio.Task[Erased]] = set()
        self._by_query = {id_column.name: Parameter("The record's id.", None, TEXT, required=True)}
        self.contracts = _contract(paths.RECORD_ID), _contract(self._by_query)
        """With the id in the path, and in the query."""

    async def by_path(self, request: Ask) -> Response[bytes]:
        """Erase the record whose id is in the path."""
        return await self._answer(request, paths.id_in_path(request.scope))

    async def by_query(self, request: Ask) -> Response[bytes]:
        """Erase the record whose id is in the parameter of that name.

        Raises:
            ProblemError: `invalid_parameter`: it is missing, or there is another one.
        """
        given = Parameters(request.scope["query_string"].decode("latin-1"), self._by_query)
        text = given.text(self._id.name)
        if text is None:
            given.refuse(self._id.name, "the id of the record to erase is missing")
        given.check()
        return await self._answer(request, text or "")

    async def _answer(self, request: Ask, text: str) -> Response[bytes]:
        """Erase the record with the id `text`: 200 if nothing remains, else 202.

        An erasure that has begun runs to completion, even if the client disconnects.

        Raises:
            ProblemError: the caller may not erase, or no record can have the id.
            QueryError: the store gave no answer.
        """
        principal: Principal = request.state.principal
        if principal.filters:
            raise ProblemError(
                "forbidden", "an erasure deletes every version, and this caller may see only some of them"
            )
        record_id = read_id(self._id, text)
        if record_id is None:
            raise ProblemError("not_found", f"no record can have the id {text[:128]!r}")
        task = asyncio.create_task(self._erase(record_id, principal.name))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        outcome = await asyncio.shield(task)
        complete = not outcome.remaining.total
        body = ErasureAnswer(
            erased=outcome.erased,
            remaining=outcome.remaining,
            complete=complete,
            retry_after_s=None if complete else _AGAIN_S,
            other_instances_s=self._others_s,
        )
        headers = {"Cache-Control": "no-store"} | ({} if complete else {"Retry-After": str(_AGAIN_S)})
        return Response(
            msgspec.json.encode(body),
            status_code=200 if complete else 202,
            media_type="application/json",
            headers=headers,
        )

    async def _erase(self, record_id: str | int, caller: str) -> Erased:
        name = digest_of(record_id)
        try:
            outcome = await self._erasure.erase(record_id)
        except Exception:
            _log.warning("erasure of id sha256:%s by %s was aborted", name, caller)
            raise
        _log.info("%s", line_of(outcome, name, caller))
        return outcome


def digest_of(record_id: str | int) -> str:
    """Return the digest that replaces the id in the log: only someone who knows the id can find the entry."""
    return hashlib.sha256(str(record_id).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def line_of(outcome: Erased, digest: str, caller: str) -> str:
    """Return the log line of an erasure."""
    return (
        f"erasure of id sha256:{digest} by {caller}: {outcome.erased.records} records and {outcome.erased.rejects} "
        f"rejects erased, {outcome.remaining.records} and {outcome.remaining.rejects} remain"
    )


def _erase(parts: StreamParts) -> EraseEndpoint | None:
    table = parts.table
    if table.id is None:
        return None
    erasure = Erasure(parts.feed.runner, parts.eraser, table, parts.reject_feed.table)
    return EraseEndpoint(erasure, table.id, parts.eraser.learns_within_s)


_BY_PATH: EndpointSpec[EraseEndpoint] = EndpointSpec(
    path="/records/{record_id:str}",
    make=_erase,
    answer=EraseEndpoint.by_path,
    contract=lambda endpoint: endpoint.contracts[0],
    scope="erase",
    name="eraseRecord",
    summary="Erase a record",
    text="Permanently deletes every version and copy of the record with this id, and every rejected record that "
    "contains the id. It needs the scope `erase`, which only a grant can give. If the store cannot delete rows that "
    "were written recently, the answer is 202 with the number that remain: send the request again after `Retry-After`.",
    methods=(HttpMethod.DELETE,),
    tag="erase",
)
ERASURES = (
    _BY_PATH,
    # An id may hold slashes, and the route above ends at the first one.
    msgspec.structs.replace(_BY_PATH, path=f"{_BY_PATH.path}/{{rest:path}}", name=""),
    msgspec.structs.replace(
        _BY_PATH,
        path="/records",
        answer=EraseEndpoint.by_query,
        contract=lambda endpoint: endpoint.contracts[1],
        name="eraseRecordByQuery",
        summary="Erase a record, its id in the query",
        text="The same, for any id: `tail` and `stats` are other paths.",
    ),
)
