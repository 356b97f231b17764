"""The pages for operators, and docs/quality.md, say what is so: figures, paths, headings, and our commands."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bench.scaling import capacity, operations_tables, scaling_tables
from bench.scaling.prices import prices
from sluice.cli.commands import all_commands
from sluice.cli.parser import join_durations, parser_of
from tests.telemetry.monitoring import anchors

ROOT = Path(__file__).parent.parent
QUALITY = ROOT / "docs" / "quality.md"
RUN_BOOK, INCIDENTS, METRICS, LOGS, CAPACITY, RETENTION = (
    ROOT / "docs" / f"{name}.md" for name in ("runbook", "incidents", "metrics", "logs", "capacity", "retention")
)
PAGES = [RUN_BOOK, INCIDENTS, METRICS, LOGS, CAPACITY, RETENTION]
RUN_BOOK_LINES = 140
_PATH = re.compile(r"`((?:tests|bench|docs|app|infra)/[\w./-]+)`")


def commands(document: str) -> list[list[str]]:
    """Return the arguments of each `sluice …` that a document's blocks of shell show."""
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", document, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    found = re.findall(r"(?:^|[ (=])sluice ([a-z][^|)#<>\n]*)", shell, re.MULTILINE)
    return [join_durations(shlex.split(each.replace("$", ""))) for each in found]


each_page = pytest.mark.parametrize(
    ("tables", "document"),
    [(operations_tables, CAPACITY), (scaling_tables, scaling_tables.DOCUMENT)],
    ids=["capacity", "scaling"],
)


@each_page
def test_the_tables_are_what_the_script_reckons(tables: Any, document: Path) -> None:
    """No figure of capacity and cost is written by hand."""
    assert tables.with_tables(document.read_text()) == document.read_text()


@each_page
def test_a_table_that_is_out_of_date_is_noticed(tables: Any, document: Path) -> None:
    """A figure that somebody changes in the document is put right by the script."""
    text = document.read_text()
    row = tables.cost()[2]
    assert row in text
    assert tables.with_tables(text.replace(row, row.replace("0.", "9."))) == text


def test_a_document_without_a_place_for_a_table_is_refused() -> None:
    """Marks that were lost are an error, not a table less."""
    with pytest.raises(ValueError, match="substring not found"):
        operations_tables.with_tables("nothing")


def test_more_messages_want_more_and_cost_less_each() -> None:
    """The reckoning has the direction that it should have, and a million messages cost cents."""
    wanted = [capacity.instances(rate) for rate in (1, 1_000, 100_000)]
    assert wanted == sorted(wanted)
    assert wanted[-1] > wanted[0] == capacity.MIN_INSTANCES
    dear, cheap = (capacity.compute_dollars(rate, capacity.MILLION / rate) for rate in (10, 1_000))
    assert dear > cheap
    assert 0.05 < sum(capacity.transport_dollars(capacity.MILLION).values()) < 0.2


def test_an_instance_is_used_as_far_as_is_said() -> None:
    """At any of the rates no processor is used more than the document assumes."""
    for rate in operations_tables.RATES_PER_S:
        assert rate * capacity.cpu_s_of_a_push() <= capacity.USED * capacity.VCPUS * capacity.instances(rate)


def test_every_price_has_a_source() -> None:
    """A price is positive, says of what it is, and where it stands."""
    assert len(prices()) == 13
    for price in prices():
        assert price.dollars > 0
        assert price.unit
        assert price.source.startswith("https://cloud.google.com/")


def test_every_path_in_the_document_about_quality_exists() -> None:
    """A test that was renamed or removed is not praised any longer."""
    paths = _PATH.findall(QUALITY.read_text())
    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_integration_test_says_why_it_is_there() -> None:
    """The table names all of the contract suite, and every test that starts processes or plays a server."""
    named = set(_PATH.findall(QUALITY.read_text()))
    whole = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "contract").rglob("test_*.py")}
    whole |= {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests" / "stores" / "bigquery").glob("test_storage_write_*.py")
    }
    whole |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*_process.py")}
    assert whole - named == set()


@pytest.mark.parametrize("document", [*PAGES, QUALITY], ids=lambda path: path.name)
def test_links_to_headings_lead_to_headings(document: Path) -> None:
    """A link into a document names one of its headings."""
    for path, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", document.read_text()):
        target = (document.parent / path) if path else document
        assert anchor in anchors(target.read_text()), f"{path}#{anchor}"


def test_the_run_book_is_two_pages() -> None:
    """At night nobody reads more: causes and background are on the other pages."""
    assert len(RUN_BOOK.read_text().splitlines()) <= RUN_BOOK_LINES


def test_commands_of_ours_are_understood() -> None:
    """Whoever copies a `sluice …` out of a run-book is not told that an option is unknown."""
    shown = commands("".join(page.read_text() for page in PAGES))
    assert {command[0] for command in shown} >= {"replay", "redrive", "publish"}
    for name, *arguments in shown:
        parser, _ = parser_of(name, dict(all_commands())[name])
        parser.parse_args(arguments)


def test_a_command_with_an_unknown_option_is_noticed() -> None:
    """The check above can fail."""
    ((name, *arguments),) = commands("```sh\nsluice redrive --everything\n```\n")
    parser, _ = parser_of(name, dict(all_commands())[name])
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
