"""An application made of the query routes alone, over the real embedded store."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import httpx
import msgspec
from litestar import Litestar, Request, Response, put
from litestar.openapi import OpenAPIConfig
from litestar.testing import TestClient
from msgspec import Meta

from app.clock import Clock, FakeClock
from app.embedded import EmbeddedStore
from app.errors import CATALOGUE, EXCEPTION_HANDLERS
from app.ingest.appender import Stored
from app.query.endpoints import query_routes
from app.record import Record
from app.schema.table import Table
from app.settings import Settings
from tests.query.shelf import RECORDS, REJECTS, T0_US, envelope

Client = TestClient[Litestar]
SINCE = "2023-11-14T22:13:20Z"  # T0_US
UNTIL = "2023-11-14T22:13:20.000050Z"
WINDOW = {"since": SINCE, "until": UNTIL}


class Numbered(msgspec.Struct):
    """A record whose id is a number."""

    number: Annotated[int, Meta(extra={"sluice": ["id"]})]


class Universal(msgspec.Struct):
    """A record whose id is a UUID."""

    key: Annotated[UUID, Meta(extra={"sluice": ["id"]})]


class Nameless(msgspec.Struct):
    """A record without an id."""

    note: str


class Service:
    """An application of the query routes, over rows that the test stores."""

    def __init__(self, records: Table = RECORDS, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock(T0_US)
        self.records = records
        self.store = EmbeddedStore.open(":memory:", (records, REJECTS), self.clock)
        routes = query_routes(
            settings=Settings(),
            clock=self.clock,
            records=records,
            rejects=REJECTS,
            runner=self.store,
        )

        # The route of the writing side that shares a path with the reading one.
        @put("/v1/records/{record_id:str}", status_code=200)
        async def put_record(request: Request[Any, Any, Any]) -> Response[str]:
            return Response(request.path_params["record_id"])

        self.app = Litestar(
            [*routes, put_record],
            exception_handlers=EXCEPTION_HANDLERS,
            openapi_config=OpenAPIConfig("Sluice", "1", create_examples=False),
            logging_config=None,
        )

    def put(self, table: Table, ingest_us: int, key: str, record: msgspec.Struct) -> None:
        """Store one row with its own stamp."""
        appender = self.store.appender(table)
        row = appender.encode(record, envelope(key))
        assert self.store._insert(appender._insert_sql, ingest_us, [row]) == Stored()
        self.clock.advance_to(ingest_us + 1)

    def put_record(self, ingest_us: int, key: str, record_id: str) -> None:
        """Store one default record."""
        record = Record(id=record_id, timestamp=datetime(2026, 1, 1, tzinfo=UTC), data={"n": 1})
        self.put(RECORDS, ingest_us, key, record)


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document of `response`, checked against the catalogue."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code == CATALOGUE[problem["code"]].status
    return problem
