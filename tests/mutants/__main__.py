"""Mutate the core modules with mutmut, one after the other, and let each module's own tests judge (`make mutants`).

Each module has a folder of its own under .cache/mutation: links to this tree, and a pyproject.toml that names one
source file and its tests. mutmut copies the tree there and runs one test process at a time, at a low priority.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from sluice.testing.pace import factor

ROOT = Path(__file__).parents[2]
_BIN = ROOT / ".cache" / "mutants" / "bin"
# Each mutant starts pytest once more, so only the plugins that these tests need are loaded: a tenth of the time.
_PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "_hypothesis_pytestplugin")
_NO_PLUGINS = ("cacheprovider", "unraisableexception", "threadexception")
ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PYTEST = ["--assert=plain"]
PYTEST += [argument for name in (*_PLUGINS, *(f"no:{each}" for each in _NO_PLUGINS)) for argument in ("-p", name)]
FLOOR_PERCENT = 90.0


class Module(NamedTuple):
    """A source file, and the glob patterns of its own tests."""

    source: str
    tests: tuple[str, ...]


MODULES = {
    "writer": Module("app/ingest/write/table_writer.py", ("tests/ingest/write/test_*.py",)),
    "retry-policy": Module("app/ingest/write/retry_policy.py", ("tests/ingest/write/test_retry_policy.py",)),
    "dedupe": Module("app/ingest/write/dedupe.py", ("tests/ingest/write/test_dedupe*.py",)),
    "envelope": Module(
        "app/ingest/decode/envelope.py", ("tests/ingest/decode/test_envelope.py", "tests/auth/test_signatures.py")
    ),
    "cursor": Module("app/query/request/cursor.py", ("tests/query/test_cursor.py",)),
    "scan": Module("app/query/request/scan.py", ("tests/query/test_scan.py", "tests/query/test_params.py")),
    "feed": Module("app/query/read/feed.py", ("tests/query/test_feed.py", "tests/contract/test_feed_laws.py")),
    "tokens": Module("app/auth/tokens.py", ("tests/auth/tokens/test_*.py",)),
    "sink-health": Module(
        "app/ingest/write/health.py", ("tests/ingest/write/test_health*.py", "tests/ingest/write/test_refusals.py")
    ),
    "decoder": Module(
        "app/ingest/decode/reader.py",
        (
            "tests/ingest/decode/test_records*.py",
            "tests/ingest/decode/test_record_versions.py",
            "tests/ingest/test_personal_data.py",
            "tests/ingest/decode/test_one_pass.py",
            "tests/ingest/decode/test_light.py",
            "tests/ingest/decode/test_record_splitter.py",
        ),
    ),
}


def _prepare(name: str, module: Module) -> Path:
    """Make the folder in which mutmut runs for one module."""
    folder = ROOT / ".cache" / "mutation" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = [path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for part in parts:
        (folder / part).symlink_to(ROOT / part)
    settings = {
        "source_paths": ["app"],
        "only_mutate": [module.source],
        "also_copy": [part for part in parts if part != "app"],
        "pytest_add_cli_args": PYTEST,
        "pytest_add_cli_args_test_selection": [
            str(path.relative_to(ROOT)) for pattern in module.tests for path in sorted(ROOT.glob(pattern))
        ],
        "process_isolation": "forkserver",  # the tests start threads, which a forked child does not have
        "do_not_mutate_patterns": [r"assert_never\("],  # mypy proves that it is not reached
        "use_git_change_detection": False,
        "timeout_constant": factor(),  # seconds, and the next: times that and as long as its tests take
        "timeout_multiplier": 4,
    }
    section = "".join(f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in settings.items())
    project = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(f"{project}\n[tool.mutmut]\n{section}")
    return folder


def _run(folder: Path, program: str, *arguments: str) -> str:
    """Run a program of mutmut's environment; return its output.

    Raises:
        SystemExit: it failed.
    """
    command = ["nice", "-n", "10", str(_BIN / program), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed in {folder}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def _percent(name: str) -> float:
    """Mutate a module; print what came of it, and return the share of the mutants that its tests noticed.

    A mutant that no test runs, or that ended in an unknown way, was not noticed.
    """
    folder = _prepare(name, MODULES[name])
    _run(folder, "mutmut", "run", "--max-children", "1")
    _run(folder, "mutmut", "export-cicd-stats")
    found = msgspec.json.decode((folder / "mutants" / "mutmut-cicd-stats.json").read_bytes(), type=dict[str, int])
    percent = 100.0 * (found["killed"] + found["timeout"]) / found["total"]
    print(f"{name}: {percent:.1f} % of {found['total']}; `mutmut show NAME` in {folder} shows one of", flush=True)  # noqa: T201 - a command-line tool prints
    print(_run(folder, "mutmut", "results"), flush=True)  # noqa: T201 - likewise
    return percent


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate all modules or those named; return the exit status: 1 if one is below the floor."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(MODULES), help="mutate this module (repeatable)")
    percents = {name: _percent(name) for name in parser.parse_args(arguments).only or MODULES}
    failed = [name for name, percent in percents.items() if percent < FLOOR_PERCENT]
    if failed:
        print(f"below {FLOOR_PERCENT:g} %: {', '.join(failed)}")  # noqa: T201 - likewise
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
