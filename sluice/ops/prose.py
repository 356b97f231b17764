"""Check the language of documents, docstrings, comments and texts in code: `python -m sluice.ops.prose [FILE …]`.

proselint runs its own checks and ours: the words of `prose.toml`, and the length of a sentence. Code, headings and
link targets are blanked first, so that a finding keeps its line. A cell of a table may be long.
"""

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from proselint.checks import __register__ as proselint_checks
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckFlags, CheckResult, types
from proselint.registry.checks.engine import Fancy
from proselint.tools import LintFile

ROOT = Path(__file__).parents[2]
RULES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("prose.toml").read_text())
_FOLDERS = ("docs/**", "bench", "client", "examples/**", "infra/**", ".github/**")
DOCUMENTS = ("*.md", *(f"{folder}/*.md" for folder in _FOLDERS))
MODULES = ("app/**/*.py", "client/**/*.py", "sluice/**/*.py")
TESTS = "tests/**/*.py"
_CODE = "\N{MIDDLE DOT}"  # replaces inline code: a word, but none that a rule knows
_NOT_PROSE = re.compile(
    r"^[ \t]*```.*?^[ \t]*```[ \t]*$"  # a block of code
    r"|<!--.*?-->"
    r"|^#{1,6} [^\n]*$"  # a heading, which is also an address
    r"|^[^\n]*\S {2,}\S[^\n]*$"  # a row of a table in a docstring
    r"|(?<=\])\([^)\s]*\)",  # the target of a link
    re.MULTILINE | re.DOTALL,
)
_INLINE_CODE = re.compile(r"``.+?``|`[^`]+`", re.DOTALL)
_TABLE_ROW = re.compile(r"^[ \t]*\|[^\n]*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"→|[.!?][)\"'*_]*(?=\s)|:\n|\n\s*\n|\n\s*(?=(?:[-*]|\d+\.) )|\Z")
_PARAGRAPH_END = re.compile(r":\n|\n\s*\n|\n\s*(?=[-*] )")
_SQL = re.compile(r"[\s,]*(?:WITH|SELECT|FROM|\w+ AS \() ?")
_WORD = re.compile(rf"[^\s—]*\w[^\s—]*|{_CODE}")
_EVEN_QUOTED = CheckFlags(allow_quotes=True)  # an apostrophe looks like a quote, and would hide the text after it


def sentence_length(text: str, check: Check) -> Iterator[CheckResult]:
    """Yield each sentence that is too long, outside tables. A blank line and a list item end a sentence too."""
    text, begin = _TABLE_ROW.sub(lambda row: " " * len(row[0]), text), 0
    for end in (match.end() for match in _SENTENCE_END.finditer(text)):
        words = _WORD.findall(text, begin, end)
        if len(words) > RULES["max_words"]:
            start = text.index(words[0], begin)
            yield CheckResult(check.path, f"{len(words)} words: split the sentence", (start, end), None)
        begin = end


def _forms(table: str) -> Check:
    items = {f"(?:{pattern})".replace(" ", r"\s+"): instead for pattern, instead in RULES[table].items()}
    return Check(types.PreferredForms(items), Fancy(), f"sluice.{table}", "'{1}': write {0}", _EVEN_QUOTED)


CheckRegistry().register_many((*proselint_checks, _forms("everywhere"), _forms("documents")))
CheckRegistry().register(Check(sentence_length, path="sluice.sentences", flags=_EVEN_QUOTED))
IN_MODULES = ("sluice.everywhere", "sluice.sentences")
IN_DOCUMENTS = (*IN_MODULES, "sluice.documents", *RULES["proselint"])


def lint(name: str, prose: str, checks: Iterable[str]) -> list[str]:
    """Return the findings in a text as `name:line: message`."""
    found = LintFile(name, prose or " ").lint({"max_errors": sys.maxsize, "checks": dict.fromkeys(checks, True)})
    starts = ((each.check_result, each.check_result.span[0]) for each in found)
    return [f"{name}:{prose[:start].count(chr(10), 0, start - 1) + 1}: {each.message}" for each, start in starts]


def document_prose(text: str) -> str:
    """Return a document without code, tables, headings and link targets."""
    blank = _NOT_PROSE.sub(lambda match: "\n" * match[0].count("\n"), text)
    return _INLINE_CODE.sub(lambda match: _CODE + "\n" * match[0].count("\n"), blank)


def module_prose(text: str) -> str:
    """Return the docstrings and comments of a module."""
    lines = [""] * (text.count("\n") + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        row, before = token.start[0] - 1, token.line[: token.start[1]].strip()
        if token.type == tokenize.COMMENT:
            comment = re.sub(r"(?:noqa|type): ?.*? - |(?:noqa|type):.*", "", token.string.lstrip("#: "))
            lines[row] = f"- {comment}." if before else comment
        elif token.type == tokenize.STRING and token.string.startswith('"""') and not before:
            for offset, line in enumerate(token.string.strip('"').split("\n")):
                lines[row + offset] = line
    return document_prose("\n".join(lines))


def string_prose(text: str) -> str:
    """Return the texts in a module's string literals, each in its first line; SQL and single words are not texts."""
    lines, tree = [""] * (text.count("\n") + 1), ast.parse(text)
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(map(id, node.values))
            literal = "".join(str(each.value) if isinstance(each, ast.Constant) else _CODE for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            literal = node.value
        else:
            continue
        if " " in literal.strip() and not _SQL.match(literal):
            lines[node.lineno - 1] += f" → {' '.join(_PARAGRAPH_END.sub(' → ', document_prose(literal)).split())}"
    return "\n".join(lines)


def check(path: Path) -> list[str]:
    """Return the findings in a document or a module; of tests, only sentences that are too long."""
    name, text = path.resolve().relative_to(ROOT).as_posix(), path.read_text()
    if path.suffix == ".md":
        return lint(name, document_prose(text), IN_DOCUMENTS)
    if name.startswith("tests/"):
        return lint(name, module_prose(text), ("sluice.sentences",))
    return [finding for prose in (module_prose(text), string_prose(text)) for finding in lint(name, prose, IN_MODULES)]


def main(*arguments: str) -> int:
    """Print the findings in the named files, or in all; return 1 if there are any."""
    files = [Path(each) for each in arguments] or sorted(
        path for each in (*DOCUMENTS, *MODULES, TESTS) for path in ROOT.glob(each)
    )
    found = [line for path in files for line in check(path)]
    print(*found, f"prose: {len(files)} files, {len(found)} findings", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
