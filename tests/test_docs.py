"""What the documents say is so: links lead somewhere, settings and commands exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings.load import VARIABLES
from sluice.cli.commands import all_commands, join_durations, parser_of
from tests.documents import code_blocks
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


@pytest.mark.parametrize("rule", [dead_links, unknown_settings, unknown_commands])
def test_documents_name_what_exists(rule: Rule) -> None:
    """Links, settings and commands."""
    check(rule, DOCUMENTS)


def test_the_readmes_type_is_the_one_of_a_new_project() -> None:
    """What the README shows, `sluice new` writes."""
    (shown,) = code_blocks(ROOT / "README.md", "python")
    written = (ROOT / "sluice" / "cli" / "new" / "template" / "orders.py").read_text()
    assert written.endswith(shown)
