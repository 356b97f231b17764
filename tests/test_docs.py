"""What the documents say is so: links lead somewhere, settings and targets exist, examples run."""

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from app.schema.table import records_table
from app.settings.load import VARIABLES
from tests.service import SETTINGS, running

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "examples/**/*.md", "infra/**/*.md")
    for path in ROOT.glob(pattern)
)
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code_blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def test_the_documents_are_found() -> None:
    """The other tests look at something."""
    names = {path.name for path in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "settings.md"} <= names


@each_document
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    """Every relative link names a file that is there."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    for link in links:
        if not link.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


@each_document
def test_settings_that_are_named_exist(document: Path) -> None:
    """A variable of the service in a document is one of its settings."""
    known = VARIABLES.keys()
    assert set(re.findall(r"SLUICE_[A-Z_]*[A-Z]", document.read_text())) <= known


@each_document
def test_make_targets_that_are_named_exist(document: Path) -> None:
    """`make x` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", document.read_text())) <= targets


@pytest.fixture
def orders() -> Iterator[type[msgspec.Struct]]:
    """The README's record type, as a module that can be imported."""
    (code,) = code_blocks(ROOT / "README.md", "python")
    module = types.ModuleType("orders")
    sys.modules["orders"] = module
    exec(compile(code, "README.md", "exec"), module.__dict__)  # noqa: S102 - the document is ours
    yield module.Order
    del sys.modules["orders"]


async def test_the_readmes_record_is_stored_as_its_curl_line_sends_it(orders: type[msgspec.Struct]) -> None:
    """The five-minute example works: the type has a table, and the record of the example comes back."""
    assert records_table(orders).id is not None
    text = (ROOT / "README.md").read_text()
    found = re.search(r"curl (\S+) -H '([^:]+): ([^']+)' \\\n  -d '([^']+)'", text)
    assert found is not None, "the README has no POST of an order"
    url, header, value, body = found.groups()
    async with running(SETTINGS.replace(record="orders:Order")) as service:
        answer = await service.client.post(httpx.URL(url).path, content=body, headers={header: value})
        assert answer.status_code == 201
        (record,) = (await service.client.get("/v1/records")).json()["records"]
        assert record.items() >= msgspec.json.decode(body).items()


async def test_the_readmes_api_lines_are_answered() -> None:
    """Each of the five lines is a request that the service understands."""
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^curl '(http://127\.0\.0\.1:8080[^']*)'(.*)$", text, re.MULTILINE)
    assert len(lines) == 5
    settings = SETTINGS.replace(record="examples.flights.record:Flight")
    statuses = []
    async with running(settings) as service:
        for url, rest in lines:
            target = httpx.URL(url).raw_path.decode()
            body = re.search(r"-d '([^']*)'", rest)
            answer = await (service.client.post(target, content=body[1]) if body else service.client.get(target))
            statuses.append(answer.status_code)
    assert statuses == [200, 200, 404, 200, 422], "the store is empty, and the last line is wrong on purpose"


def test_the_readme_says_the_worst_first() -> None:
    """Before what it offers: that it has not run on Google Cloud, and what reading costs, as docs/scaling.md has it."""
    readme = (ROOT / "README.md").read_text()
    first = readme.partition("## What you get")[0]
    assert "never run on Google Cloud" in first
    answer = (ROOT / "docs" / "scaling.md").read_text().partition("<!-- end of answer -->")[0]
    by_pages, by_exports = re.findall(r"\*\*(?:about )?(\$[\d,]+)(?: a month)?\*\*", first)
    refused = re.search(r"From ([\d,]+) records/s, pages are refused", first)
    assert refused is not None
    assert f"by pages costs {by_pages} a month at 1,000 a second" in answer
    assert f"exporting each hour costs {by_exports}." in answer
    assert f"may be refused from {refused[1]} records a second on" in answer
    (least, most) = re.findall(r"\$(0\.\d+).\$(0\.\d+) per million", first)[0]
    assert f"A million records cost ${least} to ${most} to take" in answer
