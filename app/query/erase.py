"""Erase one record: all its versions and copies. It serves the right to erasure.

Its rows are found, deleted and counted, by the same queries for every store. `DELETE /v1/records/{id}` and
`DELETE /v1/records?id=` do so, with the scope `erase` only, and so does `sluice erase`. Rejects expire by themselves
(`app.schema.table.REJECT_DAYS`): their bytes are not searched.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from typing import Annotated

import msgspec
from litestar import Response
from litestar.enums import HttpMethod
from msgspec import Meta

from app.auth.grants import Principal
from app.http import paths
from app.http.contract import JSON, TEXT, Answer, Contract, Parameter, media
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import ProblemError
from app.query.answer.page import RECORD_PAGES, PageEndpoint
from app.query.parts import StreamParts
from app.query.request.parameters import Parameters
from app.runtime.instants import DAY_US, epoch_us, from_epoch_us
from app.schema.table import Table
from app.schema.values import read_id
from app.stores.backend import Eraser
from app.stores.erasures import ErasedRecord
from app.stores.query import Condition, Deletion, Occurrences
from app.stores.source import QueryRunner

# One DELETE may modify 4,000 hourly partitions (https://cloud.google.com/bigquery/quotas#partitioned_tables).
_LONGEST_US = 100 * DAY_US


class Erased(msgspec.Struct, frozen=True):
    """How many rows were erased, versions and copies of the record, and what was stored meanwhile."""

    erased: Annotated[int, Meta(description="Erased rows; 0 if there were none, which is not an error.")]
    remaining: Annotated[int, Meta(description="Rows that were stored while the erasure ran.")]


class Erasure:
    """Erases records of one table."""

    def __init__(self, runner: QueryRunner, eraser: Eraser, table: Table) -> None:
        if table.id is None:
            raise ValueError("the record type names no id")
        self._runner, self._eraser, self._table, self.id = runner, eraser, table.name, table.id

    async def count(self, record_id: str | int) -> int:
        """Return how many rows an erasure would delete.

        Raises:
            QueryError: the store gave no answer.
        """
        return (await self._span(record_id))[0]

    async def erase(self, record_id: str | int) -> Erased:
        """Delete every row of the record.

        A message that is acknowledged or redelivered later stores a new record: erase again after a replay.

        Raises:
            QueryError: the store gave no answer; rows deleted by then are gone, and the call may be repeated.
        """
        settled_us = self._runner.horizon_us(self._table)  # all that was stamped before is there, and goes
        count, first_us, last_us = await self._span(record_id)
        erased = remaining = 0
        if count:
            for from_us in range(first_us, last_us + 1, _LONGEST_US):
                to_us = min(from_us + _LONGEST_US - 1, last_us)
                rows = Deletion(table=self._table, first_us=from_us, last_us=to_us, conditions=self._is(record_id))
                erased += await self._eraser.delete(rows)
            remaining = await self.count(record_id)
        until_us = max(last_us, settled_us - 1)  # an earlier attempt may have failed just before this call
        erased_record = ErasedRecord(stream=self._table, digest=digest_of(record_id), until=from_epoch_us(until_us))
        await self._eraser.advance(erased_record)
        return Erased(erased, remaining)

    async def _span(self, record_id: str | int) -> tuple[int, int, int]:
        """Return the number of rows, and the timestamps of the first and the last."""
        query = Occurrences(table=self._table, conditions=self._is(record_id))
        (row,) = (await self._runner.rows(query)).rows
        if not row["found"]:
            return 0, 0, 0
        return row["found"], epoch_us(row["first"]), epoch_us(row["last"])

    def _is(self, record_id: str | int) -> tuple[Condition, ...]:
        return (Condition(self.id.name, (), "eq", self.id.kind, (record_id,)),)


_SHOWN_DIGITS = 16  # of a digest, in the log
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


def _contract(parameters: Mapping[str, Parameter]) -> Contract:
    return Contract(
        parameters=parameters,
        answers={
            200: Answer("Nothing remains.", {JSON: media(Erased, {"erased": 3, "remaining": 0})}),
            202: Answer("Some were stored meanwhile.", {JSON: media(Erased, {"erased": 3, "remaining": 1})}),
        },
        problems=_PROBLEMS,
    )


class EraseEndpoint:
    """Erases records of one table."""

    def __init__(self, erasure: Erasure) -> None:
        self._erasure, self._id = erasure, erasure.id
        self._running: set[asyncio.Task[Erased]] = set()
        self._by_query = {self._id.name: Parameter("The record's id.", None, TEXT, required=True)}
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
        status, again = (202, {"Retry-After": str(_AGAIN_S)}) if outcome.remaining else (200, {})
        headers = {"Cache-Control": "no-store"} | again
        return Response(msgspec.json.encode(outcome), status_code=status, media_type=JSON, headers=headers)

    async def _erase(self, record_id: str | int, caller: str) -> Erased:
        name = digest_of(record_id)
        try:
            outcome = await self._erasure.erase(record_id)
        except Exception:
            _log.warning("erasure of id sha256:%s by %s was aborted", name[:_SHOWN_DIGITS], caller)
            raise
        _log.info("%s", line_of(outcome, name, caller))
        return outcome


def digest_of(record_id: str | int) -> str:
    """Return the digest that replaces the id: anyone who knows or guesses the id can find the entry.

    It is the whole SHA-256, as mirrors erase by it: a part of it could be made to collide with that of another id.
    """
    return hashlib.sha256(str(record_id).encode("utf-8", "surrogatepass")).hexdigest()


def line_of(outcome: Erased, digest: str, caller: str) -> str:
    """Return the log line of an erasure."""
    name, counts = digest[:_SHOWN_DIGITS], f"{outcome.erased} records erased, {outcome.remaining} remain"
    return f"erasure of id sha256:{name} by {caller}: {counts}"


def _erase(stream: StreamParts) -> EraseEndpoint | None:
    feed, eraser = stream.records.feed, stream.records.eraser
    return None if feed.table.id is None else EraseEndpoint(Erasure(feed.runner, eraser, feed.table))


_BY_PATH: EndpointSpec[StreamParts, EraseEndpoint] = EndpointSpec(
    path="/records/{record_id:str}",
    make=_erase,
    respond=EraseEndpoint.by_path,
    contract=lambda endpoint: endpoint.contracts[0],
    scope="erase",
    name="eraseRecord",
    summary="Erase a record",
    text="Permanently deletes every version and copy of the record with this id. Rejected records that contain the id "
    "expire within 30 days. It needs the scope `erase`, which only a grant can give. If the store cannot delete rows "
    "that were written recently, the answer is 202 with the number that remain: repeat it after `Retry-After`.",
    methods=(HttpMethod.DELETE,),
    tag="erase",
)
ERASE = (
    _BY_PATH,
    # An id may hold slashes, and the route above ends at the first one.
    msgspec.structs.replace(_BY_PATH, path=f"{_BY_PATH.path}/{{rest:path}}", name=""),
    msgspec.structs.replace(
        _BY_PATH,
        path="/records",
        respond=EraseEndpoint.by_query,
        contract=lambda endpoint: endpoint.contracts[1],
        name="eraseRecordByQuery",
        summary="Erase a record, its id in the query",
        text="The same, for any id: `tail` and `stats` are other paths.",
    ),
)


async def _erasures(endpoint: PageEndpoint, request: Ask) -> Response[bytes]:
    """Return a page of erasures.

    Raises:
        ProblemError: `forbidden`: the caller has fixed filters, and nothing says whether it could see those records.
    """
    if request.state.principal.filters:
        detail = "an erasure does not say whose record it was, and this caller may see only some of them"
        raise ProblemError("forbidden", detail)
    return await endpoint.page(request)


ERASURE_PAGES: EndpointSpec[StreamParts, PageEndpoint] = msgspec.structs.replace(
    RECORD_PAGES,
    path="/erasures",
    make=lambda stream: None if stream.records.feed.table.id is None else PageEndpoint(stream.erasures),
    respond=_erasures,
    name="listErasures",
    summary="Read erasures",
    text="The erasures of records, oldest first, so that a mirror or a copy of yours can repeat them: a digest of the "
    "id, and up to which `ingest_time` its versions were erased. Paged like `/v1/records`, but without filters. A "
    "caller with fixed filters is answered 403.",
)
