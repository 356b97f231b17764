"""`sluice schema index`: the statement of each table, and what becomes of it."""

import json
from collections.abc import Iterator

import pytest

from tests.cli.schema_command import main
from tests.support.http_server import Handler, serving_http
from tests.table_server import refused

_TEXTS = "CREATE SEARCH INDEX IF NOT EXISTS `id_index` ON `p.d.records`(`id`) OPTIONS (analyzer = 'NO_OP_ANALYZER')"
_PLACE = {"SLUICE_BIGQUERY_PROJECT": "p", "SLUICE_BIGQUERY_DATASET": "d", "SLUICE_BIGQUERY_LOCATION": "EU"}


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
