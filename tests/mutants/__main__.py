"""Mutate the core modules with mutmut, one after the other, and let each module's own tests judge (`make mutants`).

Each module has a folder of its own under .cache/mutation: links to this tree, and a pyproject.toml that names one
source file and its tests. mutmut copies the tree there and runs one test process at a time, at a low priority.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sluice.testing.pace import factor
from tests.mutants.plan import FLOOR_PERCENT, MODULES, Module
from tests.mutants.report import Verdict, details, diffs, judge, statuses, table

ROOT = Path(__file__).parents[2]
_BIN = ROOT / ".cache" / "mutants" / "bin"
# `mutmut show` for many mutants: a process for each would take a second and more.
_SHOW = (
    "import sys; from mutmut.__main__ import show; [show.main([name], standalone_mode=False) for name in sys.argv[1:]]"
)
# Each mutant starts pytest once more, so only the plugins that these tests need are loaded: a tenth of the time.
_PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "_hypothesis_pytestplugin")
_NO_PLUGINS = ("cacheprovider", "unraisableexception", "threadexception")
ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PYTEST = ["--assert=plain"]
PYTEST += [argument for name in (*_PLUGINS, *(f"no:{each}" for each in _NO_PLUGINS)) for argument in ("-p", name)]


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


def _mutate(name: str) -> Verdict:
    begun_s = time.monotonic()
    folder = _prepare(name, MODULES[name])
    _run(folder, "mutmut", "run", "--max-children", "1")
    mutants = statuses(_run(folder, "mutmut", "results", "--all", "true"))
    unnoticed = [mutant.name for mutant in mutants if mutant.survived]
    shown = diffs(_run(folder, "python", "-c", _SHOW, *unnoticed)) if unnoticed else {}
    mutants = [msgspec.structs.replace(mutant, diff=shown.get(mutant.name, "")) for mutant in mutants]
    verdict = judge(name, mutants)
    return msgspec.structs.replace(verdict, seconds=time.monotonic() - begun_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate all modules or those named; return the exit status: 1 if one is below the floor."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(MODULES), help="mutate this module (repeatable)")
    verdicts = []
    for name in parser.parse_args(arguments).only or MODULES:
        verdicts.append(_mutate(name))
        print(details(verdicts[-1]), flush=True)  # noqa: T201 - a command-line tool prints
    print(table(verdicts))  # noqa: T201 - likewise
    failed = [verdict.module for verdict in verdicts if not verdict.passes]
    if failed:
        print(f"below {FLOOR_PERCENT:g} %: {', '.join(failed)}")  # noqa: T201 - likewise
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
