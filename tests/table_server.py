"""A server that answers `tables.get` of BigQuery's REST API as a test says, over real HTTP."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

import msgspec

from app.schema.table import Table
from app.stores.bigquery.table_layout import LAYOUT, bigquery_schema
from tests.support.http_server import Handler, serving_http


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered about a table; one that hangs is answered when the test releases it."""

    body: bytes
    status: int = 200
    hangs: bool = False


class TableServer(msgspec.Struct):
    """A running server: `answers` by the path's last part, `asked` the paths that came."""

    url: str
    answers: dict[str, Answer]
    asked: list[str]
    reached: Event
    release: Event


def resource_of(table: Table, **changed: Any) -> dict[str, Any]:
    """Return the REST resource of a table that was made exactly as declared, with members changed."""
    return {
        "kind": "bigquery#table",
        "tableReference": {"projectId": "my-project", "datasetId": "events", "tableId": table.name},
        "type": "TABLE",
        "schema": {"fields": bigquery_schema(table)},
        **LAYOUT,
        **changed,
    }


def found(resource: dict[str, Any], *, hangs: bool = False) -> Answer:
    """Answer with a table."""
    return Answer(body=json.dumps(resource).encode(), hangs=hangs)


def refused(status: int, reason: str, message: str) -> Answer:
    """Answer with an error, in BigQuery's form."""
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return Answer(status=status, body=json.dumps({"error": error}).encode())


def no_table(name: str) -> Answer:
    """Answer that there is no such table."""
    return refused(404, "notFound", f"Not found: Table my-project:events.{name}")


@contextmanager
def serving_tables(answers: dict[str, Answer]) -> Iterator[TableServer]:
    """Serve `answers` until the block ends; a table that is not among them is not found."""
    server = TableServer(url="", answers=answers, asked=[], reached=Event(), release=Event())

    class Tables(Handler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.asked.append(path)
            server.reached.set()
            name = path.rpartition("/")[2]
            answer = answers.get(name) or no_table(name)
            if answer.hangs:
                server.release.wait()
            self.reply(answer.body, status=answer.status)

    with serving_http(Tables) as server.url:
        try:
            yield server
        finally:
            server.release.set()


@contextmanager
def bigquery_settings(answers: Mapping[str, Answer], **changed: str) -> Iterator[dict[str, str]]:
    """Serve `answers`; give the settings that lead there."""
    with serving_tables(dict(answers)) as server:
        yield {
            "backend": "bigquery",
            "bigquery_project": "my-project",
            "bigquery_dataset": "events",
            "bigquery_rest_url": server.url,
            "bigquery_storage_url": "http://127.0.0.1:1",
        } | changed
