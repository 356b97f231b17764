"""What the documents say is so: links lead somewhere, settings and targets exist, examples run."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from app.schema.table import records_table
from app.settings.load import VARIABLES
from bench.scaling import prices
from sluice.testing.service import SETTINGS, running
from tests.documents import code_blocks, readme_module
from tests.rules import DOCUMENTS, ROOT, Rule, check, line_of

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_documents_are_found() -> None:
    """The other tests look at something."""
    names = {path.name for path in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "settings.md"} <= names


def dead_links(document: Path) -> Iterator[tuple[int, str]]:
    """A relative link leads to a file."""
    text = document.read_text()
    for link in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not link[1].startswith(("http://", "https://", "mailto:")) and not (document.parent / link[1]).exists():
            yield line_of(text, link.start()), f"links to {link[1]}, which does not exist"


def headings(document: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    found: set[str] = set()
    text = re.sub(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for title in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(next(each for each in (anchor, *(f"{anchor}-{n}" for n in range(1, 99))) if each not in found))
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def dead_anchors(document: Path) -> Iterator[tuple[int, str]]:
    """A link into a document leads to one of its headings."""
    text = document.read_text()
    for link in re.finditer(r"\]\(([^)#\s]*)#([^)\s]+)\)", text):
        target = document.parent / link[1] if link[1] else document
        is_ours = "://" not in link[1] and target.suffix == ".md" and target.exists()
        if is_ours and link[2] not in headings(target):
            yield line_of(text, link.start()), f"links to {link[1]}#{link[2]}, and there is no such heading"


def unknown_settings(document: Path) -> Iterator[tuple[int, str]]:
    """A variable of the service is one of its settings."""
    text = document.read_text()
    for name in re.finditer(r"SLUICE_[A-Z_]*[A-Z]", text):
        if name[0] not in VARIABLES:
            yield line_of(text, name.start()), f"{name[0]} is no setting"


def unknown_targets(document: Path) -> Iterator[tuple[int, str]]:
    """`make x` is a target of the Makefile."""
    text = document.read_text()
    for target in re.finditer(r"`make ([a-z-]+)", text):
        if target[1] not in TARGETS:
            yield line_of(text, target.start()), f"make {target[1]} is no target"


@pytest.mark.parametrize(
    ("rule", "breaks", "keeps"),
    [
        (dead_links, "[x](nowhere.md#there)", "[x](document.md#there) [y](https://example.com)"),
        (dead_anchors, "[x](#a)\n# A `b`", "# A `b`\n[x](#a-b) [y](elsewhere.md#z)"),
        (unknown_settings, "SLUICE_NO_SUCH_THING", "SLUICE_BACKEND"),
        (unknown_targets, "`make nothing`", "`make test`"),
    ],
)
def test_documents_name_what_exists(rule: Rule, breaks: str, keeps: str, tmp_path: Path) -> None:
    """Links, settings and targets; and each rule finds the sample that breaks it."""
    check(rule, DOCUMENTS)
    sample = tmp_path / "document.md"
    sample.write_text(keeps)
    check(rule, [sample])
    sample.write_text(f"\n{breaks}\n")
    with pytest.raises(AssertionError, match=r"document\.md:2: "):
        check(rule, [sample])


@pytest.fixture
def orders() -> Iterator[type[msgspec.Struct]]:
    """The README's record type, as a module that can be imported."""
    with readme_module() as module:
        yield module.Order


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
    """Each line is a request that the service understands."""
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^curl '(http://127\.0\.0\.1:8080[^']*)'(.*)$", text, re.MULTILINE)
    assert len(lines) == 4
    settings = SETTINGS.replace(record="sluice.local.flights.record:Flight")
    statuses = []
    async with running(settings) as service:
        for url, rest in lines:
            target = httpx.URL(url).raw_path.decode()
            body = re.search(r"-d '([^']*)'", rest)
            answer = await (service.client.post(target, content=body[1]) if body else service.client.get(target))
            statuses.append(answer.status_code)
    assert statuses == [200, 404, 200, 422], "the store is empty, and the last line is wrong on purpose"


def test_the_readme_says_the_worst_first() -> None:
    """Before what it offers: that it has not run on Google Cloud, and what reading costs, as docs/scaling.md has it."""
    readme = (ROOT / "README.md").read_text()
    first = readme.partition("## What you get")[0]
    assert "**Status: it has never run on Google Cloud.**" in first.partition("## ")[0]
    assert len(readme.splitlines()) <= 150
    scaling = (ROOT / "docs" / "scaling.md").read_text()
    answer = scaling.partition("<!-- end of answer -->")[0]
    slow, fast = re.findall(r"^\| (?:1|10),000 \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", first, re.MULTILINE)
    paged = f"following all of them by pages costs ${slow[1]} a month, for ten readers ${slow[1]}"
    assert f"At 1,000 records a second, {paged}, and exporting each hour costs ${slow[2]}," in answer
    assert f"At 10,000 a second it is ${fast[1]} and ${fast[2]}:" in answer
    row = r"^\| (1,000|10,000) \| 1 \| .*: ([\d,]+) ingest, [\d,]+ storage \|$"
    bills = dict(re.findall(row, scaling, re.MULTILINE))
    assert bills == {"1,000": slow[0], "10,000": fast[0]}
    (least, most) = re.findall(r"\$(0\.\d+).\$(0\.\d+) per million", first)[0]
    assert f"To ingest a million records costs ${least} to ${most}," in answer


def test_the_price_of_a_bigquery_subscription_is_its_list_price() -> None:
    """A million messages of 1 KB: published, and delivered to BigQuery."""
    (stated,) = re.findall(r"\$(0\.\d+) per million messages", (ROOT / "README.md").read_text())
    dollars = (prices.PUBSUB_BYTE.of(1_000) + prices.SUBSCRIPTION_BYTE.of(1_000)) * 1e6
    assert stated == f"{dollars:.2f}"
    assert f"list price of {prices.DATED}" in (ROOT / "README.md").read_text()


def test_the_readmes_type_is_the_one_of_a_new_project() -> None:
    """What the README shows, `sluice new` writes."""
    (shown,) = code_blocks(ROOT / "README.md", "python")
    written = (ROOT / "sluice" / "cli" / "new" / "template" / "orders.py").read_text()
    assert written.endswith(shown)
