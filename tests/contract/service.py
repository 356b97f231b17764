"""An application made of the query routes alone, over a store that the test fills."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import httpx
import msgspec
from litestar import Request, Response, put
from msgspec import Meta

from app.auth.grants import Principal
from app.http.problems import CATALOGUE
from app.record import Record
from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.source import QueryRunner
from tests.contract.application import application, query_application
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, Engine, Store
from tests.encoding import encoded

SINCE = "2023-11-14T22:13:20Z"  # T0_US
UNTIL = "2023-11-14T22:13:20.000050Z"
WINDOW = {"since": SINCE, "until": UNTIL}


class Numbered(msgspec.Struct, forbid_unknown_fields=True):
    """A record whose id is a number."""

    number: Annotated[int, Meta(extra={"sluice": ["id"]})]


class Universal(msgspec.Struct, forbid_unknown_fields=True):
    """A record whose id is a UUID."""

    key: Annotated[UUID, Meta(extra={"sluice": ["id"]})]


class Nameless(msgspec.Struct, forbid_unknown_fields=True):
    """A record without an id."""

    note: str


class Client:
    """Calls an application in the loop of the engine whose store it reads."""

    def __init__(self, engine: Engine, app: Any, root_path: str = "") -> None:
        self.engine, self._app, self._root_path = engine, app, root_path

    def get(self, url: str, **asked: Any) -> httpx.Response:
        return self.request("GET", url, **asked)

    def head(self, url: str, **asked: Any) -> httpx.Response:
        return self.request("HEAD", url, **asked)

    def request(self, method: str, url: str, **asked: Any) -> httpx.Response:
        return self.engine.loop.run(self._request(method, url, **asked))

    async def _request(self, method: str, url: str, **asked: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app, root_path=self._root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, url, **asked)


class Service:
    """An application of the query routes, over rows that the test stores."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        records: Table = RECORDS,
        *,
        clock: Clock | None = None,
        runner: QueryRunner | None = None,
        **settings: Any,
    ) -> None:
        self.engine, self.store, self.records = engine, store, records
        self.principals: dict[str, Principal] = {}
        """Who calls, by what stands in `Authorization`; whoever is not here may see everything."""
        query_service = query_application(
            runner or store.runner,
            clock or store.clock,
            Settings().replace(
                **{"retention_days": 1} | settings
            ),  # the search for an id that is not there ends sooner
            records=records,
            eraser=store.eraser,
        )
        self.reads = query_service.reads

        # The route of the writing side that shares a path with the reading one.
        @put("/v1/records/{record_id:str}", status_code=200)
        async def put_record(request: Request[Any, Any, Any]) -> Response[str]:
            return Response(request.path_params["record_id"])

        self.app = application([*query_service.routes, put_record], self.principals)

    def client(self, root_path: str = "") -> Client:
        """Return a client of the application, reached under `root_path`."""
        return Client(self.engine, self.app, root_path)

    def put(self, table: Table, rows: Iterable[tuple[int, str, msgspec.Struct]]) -> None:
        """Store rows, each with its stamp and its delivery's key, and let them settle."""
        appender = self.store.appender(table)
        stamped = [(ingest_us, encoded(appender, record, envelope(key))) for ingest_us, key, record in rows]
        self.engine.loop.run(self.store.put(table, stamped))
        self.settle(max(ingest_us for ingest_us, _ in stamped) + 1)

    def put_records(self, rows: Iterable[tuple[int, str, str]]) -> None:
        """Store default records by stamp, key and id, and let them settle."""
        self.put(RECORDS, [(ingest_us, key, default_record(record_id)) for ingest_us, key, record_id in rows])

    def put_record(self, ingest_us: int, key: str, record_id: str) -> None:
        """Store one default record, and let it settle."""
        self.put_records([(ingest_us, key, record_id)])

    def settle(self, until_us: int) -> None:
        """Move the clock on until what is stamped before `until_us` is settled."""
        self.store.clock.advance_to(until_us + round(self.engine.settle_s * SECOND_US))


def default_record(record_id: str) -> Record:
    """Return a record whose data has a number in it."""
    return Record(id=record_id, timestamp=datetime(2026, 1, 1, tzinfo=UTC), data={"n": 1})


def lasting_headers(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that are the same for every store and each time: without durations, and what was read."""
    headers = {**answer.headers}
    headers["server-timing"] = re.sub("=[0-9.]+", "", headers.get("server-timing", ""))
    headers.pop("sluice-bytes-processed", None)  # the embedded store does not say
    return headers


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document of `response`, checked against the catalogue."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code == CATALOGUE[problem["code"]].status
    return problem
