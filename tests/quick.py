"""Run the pure tests of what changed since main, in seconds: `make quick`.

They are the tests that import a changed module, in the folder that mirrors its own, and that start neither a process
nor a server. With a word (`make quick WORD=cursor`) they are those whose name has it, of the files that mention it:
`pytest -k` imports every file first.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_PROCESS_OR_SERVER = {"granian", "grpc", "http", "multiprocessing", "socket", "subprocess"}
_IMPORT = re.compile(r"^\s*(?:from|import) ([\w.]+)", re.MULTILINE)


def main(word: str = "") -> int:
    """Run the tests; 0 also when there are none."""
    files = _files_with(word) if word else tests_of(_changed())
    pure = [name for name in files if is_pure(ROOT / name)]
    print(f"quick: {len(pure)} files of tests; {len(files) - len(pure)} more start processes or servers")  # noqa: T201 - a command
    options = ["-q", "--no-header", "-m", "not slow", "-k", f"{word} and not [bigquery" if word else "not [bigquery"]
    status = pytest.main([*options, *pure]) if pure else 0
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED else status


def tests_of(changed: Iterable[str]) -> list[str]:
    """Return the test files of changed files: those among them, and those that import one, or a double that does."""
    found: set[str] = set()
    modules = [Path(name) for name in changed if name.endswith(".py")]
    seen = set(modules)
    while modules:
        path = modules.pop()
        if path.name.startswith("test_"):
            found.add(path.as_posix())
            continue
        # What a folder's conftest.py imports is its means, not its subject.
        importers = {Path(name) for name in _importers(path) if not name.endswith("conftest.py")} - seen
        modules += importers
        seen |= importers
    return sorted(found)


def is_pure(path: Path) -> bool:
    """Return whether neither a file nor the doubles that it imports can start a process or a server."""
    seen, files = {path}, [path]
    while files:
        text = files.pop().read_text(encoding="utf-8")
        for name in _IMPORT.findall(text):
            top, *inner = name.split(".")
            if top in _PROCESS_OR_SERVER:
                return False
            module = (ROOT / top).joinpath(*inner).with_suffix(".py")
            is_double = name.startswith(("tests.", "sluice.testing."))
            if is_double and module not in seen and module.is_file():
                seen.add(module)
                files.append(module)
    return True


def _importers(path: Path) -> list[str]:
    """Return the files in the mirrored folder that import a module."""
    package, name = ".".join(path.parent.parts).removeprefix("client."), re.escape(path.stem)
    pattern = rf"\b{re.escape(package)}(\.{name}\b| import .*\b{name}\b)"
    folder = _mirror(path.parent)
    return _git(
        "grep", "--untracked", "-lP", pattern, "--", f":(glob){folder}/{'' if folder == 'tests' else '**/'}*.py"
    )


def _mirror(folder: Path) -> str:
    """Return the deepest folder of tests/ that mirrors one of the code: of app/query/params, tests/query."""
    for parts in (folder.parts, folder.parts[1:]):
        inner = parts[1:] if parts[:1] == ("tests",) else parts
        for length in range(len(inner), 0, -1):
            if (ROOT / "tests").joinpath(*inner[:length]).is_dir():
                return "/".join(("tests", *inner[:length]))
    return "tests"


def _changed() -> list[str]:
    main = next((each for each in ("main", "origin/main") if _git("rev-parse", "--verify", "--quiet", each)), "HEAD")
    base = _git("merge-base", "HEAD", main)[0]
    return _git("diff", "--name-only", "--diff-filter=d", base) + _git("ls-files", "--others", "--exclude-standard")


def _files_with(word: str) -> list[str]:
    return _git("grep", "--untracked", "-liF", word, "--", ":(glob)tests/**/test_*.py")


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
