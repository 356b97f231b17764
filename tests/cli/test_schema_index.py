"""`sluice schema index`: the statement of each table, and what becomes of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.schema_command import main
from tests.support.http_server import Handler, serving_http
from tests.table_server import refused

_TEXTS = "CREATE SEARCH INDEX IF NOT EXISTS `id_index` ON `p.d.records`(`id`) OPTIONS (analyzer = 'NO_OP_ANALYZER')"
_PLACE = {"SLUICE_BIGQUERY_PROJECT": "p", "SLUICE_BIGQUERY_DATASET": "d", "SLUICE_BIGQUERY_LOCATION": "EU"}
_TYPES = """
from typing import Annotated

from msgspec import Meta, Struct

from app.record import Record
from app.streams import Stream


class Payment(Struct, forbid_unknown_fields=True):
    payment_id: Annotated[int, Meta(extra={"sluice": ["id"]})]


class Visit(Struct, forbid_unknown_fields=True):
    page: str


STREAMS = {"records": Stream(record=Record), "payments": Stream(record=Payment), "visits": Stream(record=Visit)}
"""


class Jobs:
    """What BigQuery was asked to run, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []
        self.answer = 200, b'{"jobComplete": true, "schema": {"fields": []}, "queryId": "q"}'


@pytest.fixture
def jobs() -> Iterator[tuple[Jobs, dict[str, str]]]:
    """Give a BigQuery that runs statements, and the environment that leads to it."""
    known = Jobs()

    class Queries(Handler):
        def do_POST(self) -> None:
            assert self.path.partition("?")[0] == "/bigquery/v2/projects/p/queries"
            known.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = known.answer
            self.reply(body, status=status)

    with serving_http(Queries) as url:
        yield known, {**_PLACE, "SLUICE_BIGQUERY_REST_URL": url}


def test_the_statement_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It can be pasted, and nothing is asked of BigQuery for it."""
    assert main(["index"], _PLACE) == 0
    assert capsys.readouterr().out == f"{_TEXTS};\n"


def test_each_stream_with_an_id_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number is indexed as one; a type without an id has no index."""
    (tmp_path / "shop_of_three.py").write_text(_TYPES)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["index"], {**_PLACE, "SLUICE_STREAMS": "shop_of_three:STREAMS"}) == 0
    number = "CREATE SEARCH INDEX IF NOT EXISTS `payment_id_index` ON `p.d.payments`(`payment_id`)"
    assert capsys.readouterr().out == f"{_TEXTS};\n{number} OPTIONS (data_types = ['INT64']);\n"
    assert main(["index", "--stream", "visits"], {**_PLACE, "SLUICE_STREAMS": "shop_of_three:STREAMS"}) == 0
    assert capsys.readouterr().err == "no table of records has an id: there is nothing to index\n"


def test_it_is_run_where_the_tables_are(jobs: tuple[Jobs, dict[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    """With --apply: one statement for each table, in the tables' location."""
    known, environ = jobs
    assert main(["index", "--apply"], environ) == 0
    assert [(each["query"], each["location"], each["useLegacySql"]) for each in known.asked] == [(_TEXTS, "EU", False)]
    assert capsys.readouterr().out == "p.d.records: has its search index\n"


def test_an_index_that_is_refused_fails(jobs: tuple[Jobs, dict[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    """The status says so, and a line says why."""
    known, environ = jobs
    answer = refused(403, "accessDenied", "User does not have bigquery.jobs.create permission in project p.")
    known.answer = answer.status, answer.body
    assert main(["index", "--apply"], environ) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("p.d.records: its search index could not be made: 403 ")
    assert "bigquery.jobs.create" in said.err
    assert said.err.count("\n") == 1


def test_the_tables_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a project there is no statement."""
    assert main(["index"], {}) == 2
    assert "--project" in capsys.readouterr().err
