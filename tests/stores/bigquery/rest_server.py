"""A BigQuery REST API that answers as it is told and remembers what it was asked, over a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from app.runtime.instants import TimeRange
from app.settings.load import Settings
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.source import BigQueryRunner
from app.stores.query import Rows
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from tests.support.http_server import Handler, serving_http

PROJECT, DATASET, LOCATION = "a-project", "events", "EU"
JOB = {"projectId": PROJECT, "jobId": "the-job", "location": LOCATION}
QUERY = Rows(
    table="records",
    within=TimeRange(0, 1),
    lookback_us=1,
    columns=("ingest_time", "delivery_key"),
    limit=1,
)
EXPORT = Rows(table="records", within=TimeRange(0, 1), lookback_us=1, columns=("id",), purpose="export")
NO_ROWS = {"jobComplete": True, "totalRows": "0", "schema": {"fields": []}}
RUNNING = {"jobComplete": False, "jobReference": JOB}
SETTINGS = Settings().replace(
    backend="bigquery", bigquery_project=PROJECT, bigquery_dataset=DATASET, bigquery_location=LOCATION
)


class Call(msgspec.Struct, frozen=True):
    """A request that came in: `what` is the method of the API, such as `jobs.query`."""

    what: str
    path: str
    parameters: dict[str, list[str]]
    body: dict[str, Any]


class Refusal(msgspec.Struct, frozen=True):
    """An answer that is an error."""

    status: int
    reason: str
    message: str = "said the store"


class HangUp(msgspec.Struct, frozen=True):
    """No answer at all: the connection is closed."""


Answer = dict[str, Any] | Refusal | HangUp
Script = Callable[[Call], Answer]


class RestServer:
    """The API. `script` answers each call; `calls` has them in the order they came."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.script: Script = lambda _: NO_ROWS
        self.answer_to_cancel: Answer = {"job": {"jobReference": JOB}}
        self._came = threading.Condition()
        self.url = ""

    def answer(self, call: Call) -> Answer:
        """Remember `call`, and answer it."""
        with self._came:
            self.calls.append(call)
            self._came.notify_all()
        return self.answer_to_cancel if call.what == "jobs.cancel" else self.script(call)

    def wait_for(self, what: str) -> Call:
        """Wait until a call of `what` has come, and return the first."""
        with self._came:
            assert self._came.wait_for(lambda: what in self.seen(), timeout=patience_s(30)), self.seen()
        return next(call for call in self.calls if call.what == what)

    def seen(self) -> list[str]:
        return [call.what for call in self.calls]

    def settings(self, **changed: Any) -> Settings:
        return SETTINGS.replace(bigquery_rest_url=self.url, **changed)

    def runner(self, **changed: Any) -> BigQueryRunner:
        settings = self.settings(**changed)
        return BigQueryRunner(BigQueryClients(TableAddress.of(settings.store)), settings, FakeClock())


@contextmanager
def serving() -> Iterator[RestServer]:
    """Serve on a free port until the block ends."""
    api = RestServer()
    with serving_http(_handler(api)) as api.url:
        yield api


def _handler(api: RestServer) -> type[Handler]:
    class Api(Handler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"))

        def do_GET(self) -> None:
            self._answer({})

        def _answer(self, body: dict[str, Any]) -> None:
            split = urlsplit(self.path)
            call = Call(_method(self.command, split.path), split.path, parse_qs(split.query), body)
            answer = api.answer(call)
            if isinstance(answer, HangUp):
                self.close_connection = True
                return
            status, content = (answer.status, _error(answer)) if isinstance(answer, Refusal) else (200, answer)
            if status == 200 and "fields" in call.parameters:  # the members that the caller wants, and no others
                wanted = call.parameters["fields"][0].split(",")
                content = {name: value for name, value in content.items() if name in wanted}
            self.reply(json.dumps(content).encode(), status=status)

    return Api


def _method(verb: str, path: str) -> str:
    collection, *rest = path.removeprefix(f"/bigquery/v2/projects/{PROJECT}/").split("/")
    if collection == "queries":
        return "jobs.getQueryResults" if rest else "jobs.query"
    if collection == "jobs":
        return "jobs.cancel" if rest[-1:] == ["cancel"] else "jobs.insert" if verb == "POST" else "jobs.get"
    return path


def _error(refusal: Refusal) -> dict[str, Any]:
    detail = {"reason": refusal.reason, "message": refusal.message, "domain": "global"}
    return {"error": {"code": refusal.status, "message": refusal.message, "errors": [detail]}}
