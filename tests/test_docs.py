"""What the documents say is so: links lead somewhere, settings and commands exist, the README's record is stored."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from app.schema.table import records_table
from app.settings.load import VARIABLES
from sluice.cli.commands import all_commands, join_durations, parser_of
from sluice.testing.service import SETTINGS, running
from tests.documents import code_blocks, readme_module
from tests.rules import DOCUMENTS, ROOT, Rule, check, line_of


def dead_links(document: Path) -> Iterator[tuple[int, str]]:
    """A relative link leads to a file."""
    text = document.read_text()
    for link in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not link[1].startswith(("http://", "https://", "mailto:")) and not (document.parent / link[1]).exists():
            yield line_of(text, link.start()), f"links to {link[1]}, which does not exist"


def unknown_settings(document: Path) -> Iterator[tuple[int, str]]:
    """A variable of the service is one of its settings."""
    text = document.read_text()
    for name in re.finditer(r"SLUICE_[A-Z_]*[A-Z]", text):
        if name[0] not in VARIABLES:
            yield line_of(text, name.start()), f"{name[0]} is no setting"


def unknown_commands(document: Path) -> Iterator[tuple[int, str]]:
    """A command of `sluice` in a block of shell is one that its parser understands."""
    text = document.read_text()
    for block in re.finditer(r"^```sh[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        shell = block[1].replace("\\\n", " ")
        for name, rest in re.findall(r"(?:^|^\w+=\S+ |[(|] ?)sluice ([a-z]+)( [^|)#<>;&\n]*)?", shell, re.MULTILINE):
            try:
                parser, _ = parser_of(name, dict(all_commands())[name])
                parser.parse_args(join_durations(shlex.split(rest.replace("$", ""))))
            except (KeyError, SystemExit, ValueError):
                yield line_of(text, block.start()), f"sluice {name}{rest} is not understood"


@pytest.mark.parametrize(
    ("rule", "breaks", "keeps"),
    [
        (dead_links, "[x](nowhere.md#there)", "[x](document.md#there) [y](https://example.com)"),
        (unknown_settings, "SLUICE_NO_SUCH_THING", "SLUICE_BACKEND"),
        (unknown_commands, "```sh\nsluice redrive --everything\n```", "```sh\nsluice redrive --topic t\n```"),
    ],
)
def test_documents_name_what_exists(rule: Rule, breaks: str, keeps: str, tmp_path: Path) -> None:
    """Links, settings and commands; and each rule finds the sample that breaks it."""
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


def test_the_readmes_type_is_the_one_of_a_new_project() -> None:
    """What the README shows, `sluice new` writes."""
    (shown,) = code_blocks(ROOT / "README.md", "python")
    written = (ROOT / "sluice" / "cli" / "new" / "template" / "orders.py").read_text()
    assert written.endswith(shown)
