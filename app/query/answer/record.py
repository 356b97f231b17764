"""The route `/v1/records/{id}`: the latest version of one record, or all of them."""

import msgspec
from litestar import Response

from app.http import paths
from app.http.contract import JSON, Answer, Contract, Named, media, object_schema
from app.http.problems import ProblemError
from app.http.reading import read_response
from app.query.answer.conditional import FRESH, Ask, FixedFilters, Timing, cost_headers
from app.query.answer.contract import headers_of, row_schema
from app.query.answer.documents import RowFormat
from app.query.read.pages import Pages
from app.query.request.negotiation import MEDIA_TYPES
from app.query.request.parameters import MAX_LIMIT, RECORD_PARAMETERS
from app.query.request.requests import parse_record_request
from app.query.request.scan import View
from app.query.routes import EndpointSpec, StreamParts
from app.runtime.clock import Clock
from app.runtime.instants import DAY_US, clamp
from app.runtime.time_range import TimeRange
from app.schema.columns import Column
from app.schema.record_json import example_record, example_row
from app.schema.values import read_id

_PROBLEMS = {
    400: "A parameter is not valid; `errors` names each parameter.",
    404: "No record has this id.",
    422: "The record was not found within the read limit of one look-up.",
    503: "The store is busy or unavailable; `Retry-After` says when to try again.",
    504: "The query timed out.",
}


class RecordEndpoint:
    """Returns one record."""

    def __init__(self, pages: Pages, id_column: Column, clock: Clock) -> None:
        settings = pages.settings
        self.table = pages.feed.table
        self._feed, self._id, self._clock = pages.feed, id_column, clock
        self._retention_us = (self.table.retention_days or settings.store.retention_days) * DAY_US
        self._ahead_us = settings.store.max_lead_us + 1
        self._fixed = FixedFilters(self.table)

    async def answer(self, request: Ask) -> Response[bytes]:
        """Return the record whose id is in the path: freshly read, including rows that are not settled yet.

        Raises:
            ProblemError: there is no such record, or a parameter is not valid.
            QueryError: the store gave no answer.
        """
        timing = Timing(self._clock)
        query = request.scope["query_string"].decode("latin-1")
        record_request = parse_record_request(query, self.table.columns)
        self._fixed.check(request, (self._id.name,))
        text = paths.id_in_path(request.scope)
        record_id = read_id(self._id, text)
        if record_id is None:
            raise _no_record(text)
        now_us = self._clock.now_us()
        window = TimeRange(clamp(now_us - self._retention_us), clamp(now_us + self._ahead_us))
        view = View(record_request.columns, (*record_request.canaries.conditions, *self._fixed.of(request)))
        with timing.stage("store"):
            rows = await self._feed.versions(
                record_id, window, view, MAX_LIMIT + 1 if record_request.all_versions else 1
            )
        if not rows:
            raise _no_record(text)
        served = RowFormat(record_request.columns)
        if record_request.all_versions:
            body = served.versions(rows[:MAX_LIMIT], complete=len(rows) <= MAX_LIMIT)
        else:
            body = served.record(rows[0])
        return read_response(request, body, MEDIA_TYPES["json"], FRESH | cost_headers(timing, "bypass"))


def _no_record(text: str) -> ProblemError:
    return ProblemError("not_found", f"there is no record with the id {text[:128]!r}")


def record_contract(endpoint: RecordEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    table = endpoint.table
    row, example = row_schema(table), example_row(table.columns, example_record(table))
    versions = object_schema(
        None,
        records={"type": "array", "items": row, "description": "Newest first."},
        complete={"type": "boolean", "description": "False if there are older versions too."},
    )
    # Versions come first: a client that tries one after the other would read them as a record without any column.
    body = {"anyOf": [Named("RecordVersions", versions), row]}
    described = Answer(
        "The latest version of the record; with `versions=all`, every version.",
        {JSON: media(body, example)},
        headers_of("Cache-Control", "Server-Timing"),
    )
    return Contract(parameters={**paths.RECORD_ID, **RECORD_PARAMETERS}, answers={200: described}, problems=_PROBLEMS)


def _record(parts: StreamParts) -> RecordEndpoint | None:
    id_column = parts.table.id
    return None if id_column is None else RecordEndpoint(parts.pages, id_column, parts.responder.clock)


ONE_RECORD = EndpointSpec(
    path="/records/{record_id:str}",
    make=_record,
    answer=RecordEndpoint.answer,
    contract=record_contract,
    scope="read",
    name="getRecord",
    summary="Read one record",
    text="The latest version of the record with this id, as soon as it is stored; or all its versions.",
)
# An id may hold slashes, and the route above ends at the first one.
ONE_RECORD_WITH_SLASHES = msgspec.structs.replace(ONE_RECORD, path=f"{ONE_RECORD.path}/{{rest:path}}", name="")
