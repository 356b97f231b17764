"""Print the size of each part beside its ceiling: `make size`. Fails above one; whoever deletes lowers it.

A line of code is neither blank, nor comment, nor docstring, so splitting or joining lines wins nothing that the
formatter would not undo. Files that git tracks count.
"""

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Mapping
from pathlib import Path

from app.settings.load import VARIABLES

ROOT = Path(__file__).parent.parent
CEILINGS = {
    "app": 18_030,
    "modules of app": 165,
    "sluice": 6_960,
    "client": 2_670,
    "bench": 3_060,
    "tests": 35_000,
    "words of Markdown": 50_000,
    "settings": 52,
}
_PARTS = {
    "app": ("app",),
    "sluice": ("sluice",),
    "client": ("client",),
    "bench": ("bench",),
    "tests": ("tests",),
}
_NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENDMARKER, tokenize.ENCODING),
}


def main() -> int:
    """Print the table; return 1 if a part is above its ceiling."""
    found = sizes()
    print(f"{'part':20}{'size':>9}{'ceiling':>9}", *lines(found), sep="\n")  # noqa: T201 - a command
    return int(any(size > CEILINGS[part] for part, size in found.items()))


def lines(found: Mapping[str, int]) -> list[str]:
    """Return a row for each part."""
    return [
        f"{part:20}{size:>9,}{CEILINGS[part]:>9,}{'   above its ceiling' if size > CEILINGS[part] else ''}"
        for part, size in found.items()
    ]


def sizes() -> dict[str, int]:
    """Return the size of every part that has a ceiling."""
    modules = {part: _tracked("*.py", folders) for part, folders in _PARTS.items()}
    found = {part: sum(code_lines(_text(path)) for path in paths) for part, paths in modules.items()}
    found["modules of app"] = len(modules["app"])
    found["words of Markdown"] = sum(len(_text(path).split()) for path in _tracked("*.md", (".",)))
    found["settings"] = len(VARIABLES)
    return {part: found[part] for part in CEILINGS}


def code_lines(text: str) -> int:
    """Return how many lines of a module hold code."""
    numbers: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            numbers.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            numbers.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(numbers)


def _tracked(pattern: str, folders: tuple[str, ...]) -> list[Path]:
    named = [f":(glob){folder}/**/{pattern}" for folder in folders]
    listed = subprocess.run(["git", "ls-files", "--", *named], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.exists()]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
