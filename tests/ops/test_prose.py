"""The prose linter reports bad sentences, and nothing in code, headings and link targets."""

import re
from pathlib import Path

import pytest

from sluice.ops.prose import (
    IN_DOCUMENTS,
    IN_MODULES,
    ROOT,
    RULES,
    document_prose,
    lint,
    main,
    module_prose,
    string_prose,
)


def words(count: int) -> str:
    """Return so many words, no two of them the same."""
    return " ".join(f"word{number}" for number in range(count))


LONG = words(36)
BAD = {
    "A row passes through way_in.": "everywhere",
    "Standing says so.": "everywhere",
    "The footprint grows.": "everywhere",
    "It calls hand_over_soon.": "everywhere",
    "It begins anew.": "everywhere",
    "Whoever asks is answered.": "everywhere",
    "Nobody waits for it.": "everywhere",
    "| limit | nobody |": "everywhere",
    "It is reckoned from prices.": "everywhere",
    "An append is under\nway.": "everywhere",
    "Poll, but not oftener.": "everywhere",
    "It follows for ever.": "everywhere",
    "The domain of old ones.": "everywhere",
    "The first crumbs of a burst.": "everywhere",
    "The state heals.": "everywhere",
    "Clients heed the header.": "everywhere",
    "A service wants a token.": "everywhere",
    "The name stands in the table.": "everywhere",
    "The dearest query.": "everywhere",
    "The query was given up.": "everywhere",
    "Reading is what gives first.": "everywhere",
    "It takes it for a quota.": "everywhere",
    "The image is to be had.": "everywhere",
    "Readers go by it.": "everywhere",
    "What was stored is durable.": "everywhere",
    "For a reader who follows the feed.": "everywhere",
    "It costs that however little is new.": "everywhere",
    "The sender is told.": "documents",
    "Rows are stored meanwhile.": "documents",
    "Kept answers are not served.": "documents",
    "The store takes rows.": "documents",
    "More than was asked for.": "documents",
    "It ends by itself.": "documents",
    "It goes in the place of the old one.": "documents",
    "The the table is missing.": "lexical_illusions",
    f"{LONG}.": "sentences",
    f"- One item.\n- {LONG}": "sentences",
    f"'Tis the reader's: {LONG}": "sentences",
}


@pytest.mark.parametrize("sentence", BAD, ids=lambda text: text[:40])
def test_a_bad_sentence_is_reported(sentence: str) -> None:
    """Each is one finding; a rule for documents does not apply to modules."""
    rule = BAD[sentence]
    assert len(lint("x.md", document_prose(sentence), IN_DOCUMENTS)) == 1
    assert len(lint("x.py", sentence, IN_MODULES)) == (rule in {"everywhere", "sentences"})


def test_every_rule_has_a_sentence_that_breaks_it() -> None:
    """A pattern without one might never match."""
    for table in ("everywhere", "documents"):
        sentences = [text for text, rule in BAD.items() if rule == table]
        for pattern in RULES[table]:
            spaced = pattern.replace(" ", r"\s+")
            assert any(re.search(rf"\b(?:{spaced})\b", text, re.IGNORECASE) for text in sentences), pattern


@pytest.mark.parametrize(
    "text",
    [
        f"```sh\necho nobody {LONG}\n```\n",
        f"| cell | {LONG} |\n",
        f"## Follow for ever {LONG}\n",
        "See [the feed](#follow-for-ever) and `way_in`, which was told to stop.",
        f"<!-- {LONG} -->",
        f"{words(35)}.",
        f"{words(20)}:\n\n- {words(20)}\n- {words(20)}",
    ],
    ids=lambda text: text[:20],
)
def test_other_text_is_skipped(text: str) -> None:
    """Code, headings, link targets and comments of a document, long cells, and sentences within the limit."""
    assert lint("x.md", document_prose(text), IN_DOCUMENTS) == []


def test_only_docstrings_and_comments_of_a_module_are_checked() -> None:
    """Findings keep the line of the module; names, strings, directives and tables of docstrings are skipped."""
    body = 'def f():\n    """Do.\n\n    nobody  a row\n    whoever\n    """\n'
    module = f'"""Nobody."""\n\nnobody = "nobody"  # noqa: X1 - anew\n\n\n{body}'
    found = lint("x.py", module_prose(module), IN_MODULES)
    assert [line.split(": ")[:2] for line in found] == [
        ["x.py:1", "'Nobody'"],
        ["x.py:3", "'anew'"],
        ["x.py:10", "'whoever'"],
    ]


def test_texts_in_code_are_checked() -> None:
    """Findings keep the line where a literal begins; single words, docstrings and SQL are skipped."""
    module = f'''"""Nobody."""
say("nobody")
say(
    "no row stands "
    f"in {{table['way_in']}}, whoever asks"
)
HELP = """\\
use:

- anew, {words(20)}
- {words(20)}
  name   whoever it is"""
SQL = f"SELECT {words(40)} FROM {{table}}"
TOO_LONG = "{LONG}"
'''  # noqa: S608 - it is linted, not run
    found = lint("x.py", string_prose(module), IN_MODULES)
    assert [line.split(": ")[:2] for line in found] == [
        ["x.py:4", "'stands'"],
        ["x.py:4", "'whoever'"],
        ["x.py:7", "'anew'"],
        ["x.py:14", "36 words"],
    ]


def test_the_command_fails_on_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the file, the line and the replacement; without a finding the status is 0."""
    monkeypatch.setattr("sluice.ops.prose.ROOT", tmp_path)
    (tmp_path / "bad.md").write_text("# Title\n\nNobody waits.\n")
    (tmp_path / "good.md").write_text("# Title\n\nNo caller waits.\n")
    assert main(str(tmp_path / "bad.md")) == 1
    assert "bad.md:3: 'Nobody': write no caller" in capsys.readouterr().out
    assert main(str(tmp_path / "good.md")) == 0


def test_the_lint_target_runs_it() -> None:
    """`make check` and the CI include that target."""
    assert "-m sluice.ops.prose" in (ROOT / "Makefile").read_text()
