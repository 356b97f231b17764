"""Rules about the repository: a rule is one test, which reports every offence as `file:line: fault`."""

from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
TREES = ("app", "bench", "client", "examples", "sluice", "tests")
SOURCES = sorted(path for tree in TREES for path in (ROOT / tree).rglob("*.py"))
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "client/*.md", "examples/**/*.md", "infra/**/*.md")
    for path in ROOT.glob(pattern)
)
Rule = Callable[[Path], Iterable[tuple[int, str]]]
"""Yields the line and the fault of each offence in a file."""


def check(rule: Rule, files: Iterable[Path]) -> None:
    """Fail with all offences against `rule`; fail too if there is no file to check."""
    paths = list(files)
    assert paths, "no file to check"
    offences = [
        f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}:{line}: {fault}"
        for path in paths
        for line, fault in rule(path)
    ]
    assert not offences, "\n".join(["", *offences])


def line_of(text: str, position: int) -> int:
    """Return the line, counted from 1, of a position in a text."""
    return text.count("\n", 0, position) + 1
