"""The route `/v1/records/{id}`: the latest version of one record, or all of them."""

import msgspec
from litestar import Response

from app.http import paths
from app.http.contract import JSON, Answer, Contract, Named, media, object_schema
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import ProblemError
from app.http.reading import read_response
from app.query.answer.contract import FRESH, READ_PROBLEMS, Cost, headers_of, row_schema
from app.query.answer.encoders import ServedRows
from app.query.parts import StreamParts, TableParts
from app.query.request.parameters import MAX_LIMIT, MEDIA_TYPES, RECORD_PARAMETERS, Parameters
from app.query.request.scan import read_fields
from app.runtime.instants import DAY_US, TimeRange, clamp
from app.schema.columns import Column
from app.schema.record_json import example_row
from app.schema.values import read_id

_PROBLEMS = READ_PROBLEMS | {
    404: "No record has this id.",
    422: "The look-up would read too much.",
}


class RecordEndpoint:
    """Returns one record."""

    def __init__(self, parts: TableParts, id_column: Column) -> None:
        self._feed, self._subject, self._id = parts.feed, parts.subject, id_column
        self.table, environment = parts.feed.table, parts.feed.environment
        self._clock = environment.clock
        self._retention_us = self.table.kept_days(environment.settings.store.retention_days) * DAY_US

    async def record(self, request: Ask) -> Response[bytes]:
        """Return the record whose id is in the path: freshly read, including rows that are not settled yet.

        Raises:
            ProblemError: there is no such record, or a parameter is not valid.
            QueryError: the store gave no answer.
        """
        cost = Cost(self._clock)
        given = Parameters(request.scope["query_string"].decode("latin-1"), RECORD_PARAMETERS)
        all_versions = given.value("versions") == "all"
        columns, (conditions, _) = read_fields(given, self.table.columns), self._subject.conditions(given)
        given.check()
        conditions = self._subject.restricted(conditions, request.state.principal, self._id.name)
        text = paths.id_in_path(request.scope)
        record_id = read_id(self._id, text)
        if record_id is None:
            raise _no_record(text)
        now = self._feed.now()
        window = TimeRange(clamp(now.now_us - self._retention_us), clamp(now.latest_us))
        limit = MAX_LIMIT + 1 if all_versions else 1
        rows = await self._feed.versions(record_id, window, conditions, limit)
        if not rows:
            raise _no_record(text)
        shown = ServedRows(columns).of(rows[:MAX_LIMIT])
        document = {"records": shown, "complete": len(rows) <= MAX_LIMIT} if all_versions else shown[0]
        body = msgspec.json.encode(document)
        return read_response(request, body, MEDIA_TYPES["json"], FRESH | cost.headers("bypass"))


def _no_record(text: str) -> ProblemError:
    return ProblemError("not_found", f"there is no record with the id {text[:128]!r}")


def record_contract(endpoint: RecordEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    table = endpoint.table
    row, example = row_schema(table), example_row(table)
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


def _record(stream: StreamParts) -> RecordEndpoint | None:
    id_column = stream.records.feed.table.id
    return None if id_column is None else RecordEndpoint(stream.records, id_column)


ONE_RECORD = EndpointSpec(
    path="/records/{record_id:str}",
    make=_record,
    respond=RecordEndpoint.record,
    contract=record_contract,
    scope="read",
    name="getRecord",
    summary="Read one record",
    text="The latest version of the record with this id, as soon as it is stored; or all its versions.",
)
# An id may hold slashes, and the route above ends at the first one.
ONE_RECORD_WITH_SLASHES = msgspec.structs.replace(ONE_RECORD, path=f"{ONE_RECORD.path}/{{rest:path}}", name="")
