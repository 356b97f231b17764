"""The routes `DELETE /v1/records/{id}` and `DELETE /v1/records?id=`: erase a record, with the scope `erase` only."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete
from msgspec import Meta

from app.auth.grants import Principal
from app.http import paths
from app.http.contract import (
    CONTRACT,
    JSON,
    OF_DEFAULT,
    PER_STREAM,
    STREAM,
    TEXT,
    Answer,
    Contract,
    Parameter,
    media,
    undocumented,
)
from app.http.problems import ProblemError
from app.query.erase.erasure import Counts, Erased, Erasure
from app.query.params.parameters import Parameters
from app.query.reads import Reads
from app.schema.columns import Column
from app.schema.table import Table
from app.schema.values import read_id
from app.stores.backend import Eraser
from app.stores.source import QueryRunner
from app.streams import Streams

_AGAIN_S = 60  # a delivery in flight is stored by then
_ERASE = {"scope": "erase"}
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
_Request = Request[Any, Any, Any]


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

    def id_in_query(self, request: _Request) -> str:
        """Return the id in the parameter of that name.

        Raises:
            ProblemError: `invalid_parameter`: it is missing, or there is another one.
        """
        given = Parameters(request.scope["query_string"].decode("latin-1"), self._by_query)
        text = given.text(self._id.name)
        if text is None:
            given.refuse(self._id.name, "the id of the record to erase is missing")
        given.check()
        return text or ""

    async def answer(self, request: _Request, text: str) -> Response[bytes]:
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


def erasure_routes(*, runner: QueryRunner, eraser: Eraser, streams: Streams, rejects: Table, reads: Reads) -> list[Any]:
    """Return the erasure routes; none for records without an id."""
    endpoints = {
        name: EraseEndpoint(Erasure(runner, eraser, stream.table, rejects), stream.table.id, eraser.learns_within_s)
        for name, stream in streams.by_name.items()
        if stream.table.id is not None
    }
    routes: list[Any] = []
    default = endpoints.get(streams.default.name)
    if default is not None:
        in_path, in_query = ({CONTRACT: each, STREAM: OF_DEFAULT} for each in default.contracts)
        routes += _routes(paths.RECORDS, in_path, in_query, lambda _: default, reads)
    if streams.are_named and endpoints:
        contracts = [{name: each.contracts[which] for name, each in endpoints.items()} for which in (0, 1)]
        by_path, by_query = ({PER_STREAM: each} for each in contracts)
        of = partial(paths.of_stream, endpoints)
        routes += _routes(f"{paths.STREAM}/records", by_path, by_query, of, reads)
    return routes


def _routes(
    path: str,
    by_path: Mapping[str, Any],
    by_query: Mapping[str, Any],
    of: Callable[[Any], EraseEndpoint],
    reads: Reads,
) -> list[Any]:
    """Return the routes of an id in the path and in the query; the `opt` of each has its contract."""

    @delete(
        f"{path}/{{record_id:str}}",
        operation_id="eraseRecord",
        summary="Erase a record",
        description="Permanently deletes every version and copy of the record with this id, and every rejected record "
        "that contains the id. It needs the scope `erase`, which only a grant can give. If the store cannot delete "
        "rows that were written recently, the answer is 202 with the number that remain: send the request again after "
        "`Retry-After`.",
        tags=["erase"],
        opt={**_ERASE, **by_path},
        status_code=200,
    )
    async def erase_record(request: _Request) -> Response[bytes]:
        text = paths.id_in_path(request.scope)
        return await reads.answer(request, of(request.scope).answer(request, text))

    # An id may hold slashes, and the route above ends at the first one.
    @delete(f"{path}/{{record_id:str}}/{{rest:path}}", opt={**_ERASE, **undocumented(by_path)}, status_code=200)
    async def erase_record_with_slashes(request: _Request) -> Response[bytes]:
        text = paths.id_in_path(request.scope)
        return await reads.answer(request, of(request.scope).answer(request, text))

    @delete(
        path,
        operation_id="eraseRecordByQuery",
        summary="Erase a record, its id in the query",
        description="The same, for any id: `tail` and `stats` are other paths.",
        tags=["erase"],
        opt={**_ERASE, **by_query},
        status_code=200,
    )
    async def erase_record_by_query(request: _Request) -> Response[bytes]:
        endpoint = of(request.scope)
        return await reads.answer(request, endpoint.answer(request, endpoint.id_in_query(request)))

    return [erase_record, erase_record_with_slashes, erase_record_by_query]
