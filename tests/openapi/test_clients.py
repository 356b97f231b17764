"""A generated client works: it is made of the document, and reads from a running service."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.support.instance import Caller, Instance, instance

PACKAGE = "generated_sluice_client"
RECORDS = [{"id": f"order-{number}", "timestamp": "2026-01-31T12:00:00Z", "data": [number]} for number in range(3)]
CALLER = Caller("reader", ("read", "write"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Run the service as a process, with RECORDS stored."""
    with instance(tmp_path_factory.mktemp("service"), (CALLER,)) as running:
        headers = {"Authorization": f"Bearer {running.keys[CALLER.name]}"}
        assert httpx.post(f"{running.url}/v1/records", json=RECORDS, headers=headers).status_code == 201
        yield running


def generate(service: Instance, folder: Path) -> None:
    """Have openapi-python-client make a package of the service's own document: functions, over attrs and httpx."""
    document, settings = folder / "openapi.json", folder / "settings.yaml"
    document.write_bytes(httpx.get(f"{service.url}/openapi/openapi.json").content)
    settings.write_text("post_hooks: []\n")
    options = ["--path", str(document), "--config", str(settings), "--meta", "none"]
    command = [sys.executable, "-m", "openapi_python_client", "generate", *options]
    command += ["--output-path", str(folder / PACKAGE)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience_s(120), check=False)
    assert (folder / PACKAGE / "__init__.py").exists(), ended.stdout + ended.stderr


def test_a_generated_client_reads_records(service: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages, a record by its id and a problem arrive as objects of the document's schemas, with typed members."""
    generate(service, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    made = import_module(PACKAGE).AuthenticatedClient(base_url=service.url, token=service.keys[CALLER.name])

    def call(operation: str, **parameters: Any) -> Any:
        module = import_module(f"{PACKAGE}.api.query.{operation}")
        return module.sync_detailed(client=made, **parameters).parsed

    first = call("list_records", limit="2", wait=20)
    second = call("list_records", limit="2", cursor=first.next_cursor)
    assert [type(page).__name__ for page in (first, second)] == ["RecordPage", "RecordPage"]
    assert second.next_cursor is None
    records = [*first.records, *second.records]
    assert {type(record).__name__ for record in records} == {"StoredRecord"}
    assert [(record.id, record.data, record.source) for record in records] == [
        (f"order-{number}", [number], None) for number in range(3)
    ]
    assert {record.timestamp for record in records} == {datetime(2026, 1, 31, 12, tzinfo=UTC)}
    assert first.window.since <= records[0].ingest_time < second.window.until

    found = call("get_record", record_id="order-1")
    assert (type(found).__name__, found.id, found.message_index) == ("StoredRecord", "order-1", 1)

    problems = [call("get_record", record_id="order-9"), call("list_records", limit="none")]
    assert [type(problem).__name__ for problem in problems] == ["Problem", "Problem"]
    assert [(problem.status, problem.code) for problem in problems] == [(404, "not_found"), (400, "invalid_parameter")]
    assert problems[1].errors[0].name == "limit"
    made.get_httpx_client().close()
