"""The walls of the house: sizes, seams, purity, and nothing that happens at import."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 300
SOURCES = sorted(path for top in ("app", "dev", "bench", "examples", "tests") for path in (ROOT / top).rglob("*.py"))
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "app").rglob("*.py")
    if path.name != "__main__.py"
)
_PURE_PACKAGES = ("app.schema", "app.query.formats", "app.query.params", "app.stores.sql")
PURE = [
    *("app.record", "app.settings.load", "app.http.shedding"),
    *(f"app.runtime.{name}" for name in ("epoch", "instants", "ledger", "time_of_day")),
    *("app.stores.fence", "app.stores.sink", "app.stores.source", "app.stores.bigquery.layout"),
    *("app.stores.bigquery.layout", "app.stores.bigquery.protobuf", "app.stores.duckdb.layout"),
    *(module for module in MODULES if module.startswith(_PURE_PACKAGES)),
    *(f"app.auth.{name}" for name in ("principal", "grants", "api_keys")),
    *(
        f"app.ingest.{name}"
        for name in (
            *(
                "envelope",
                "proof",
                "hints",
                "records",
                "record_splitter",
                "rows",
                "rejects",
                "compression",
                "structure",
            ),
            *("batcher", "retry_policy", "suspects"),
        )
    ),
    *(f"app.query.{name}" for name in ("cursor", "slices", "density", "scan", "arrow_rows")),
    *(f"app.query.{name}" for name in ("explain", "retrieval")),
]
# What a module needs to reach outside of its process, or to wait.
IMPURE = (
    *("asyncio", "socket", "subprocess", "threading", "concurrent", "urllib.request", "http.client", "http.server"),
    *("duckdb", "granian", "uvloop", "grpc"),
)


def imports(source: str) -> set[str]:
    """Return the modules that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def path_of(module: str) -> Path:
    """Return the file of a module."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def within(names: Iterable[str], package: str) -> set[str]:
    """Return those of `names` that lie in `package`."""
    return {name for name in names if name == package or name.startswith(package + ".")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_over_300_lines(path: Path) -> None:
    """A room that is crowded is to be divided."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_contracts_of_imports_are_of_all_rooms() -> None:
    """import-linter keeps them (`make lint`), and a new room must find its place there."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {name for layer in contracts[0]["layers"] for name in re.split(" [|:] ", layer)}
    rooms = {path.stem for path in (ROOT / "app").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert layers == rooms - {"__init__"}
    stores = {path.name for path in (ROOT / "app/stores").iterdir() if (path / "__init__.py").exists()}
    assert {f"app.stores.{name}" for name in stores} == set(contracts[1]["forbidden_modules"])


@pytest.mark.parametrize("module", PURE)
def test_decisions_do_no_input_or_output(module: str) -> None:
    """The pure modules import nothing that could, directly or through another module of the service."""
    seen: set[str] = set()
    waiting = {module}
    while waiting:
        current = waiting.pop()
        seen.add(current)
        found = imports(path_of(current).read_text())
        assert not {name for package in IMPURE for name in within(found, package)}, current
        waiting |= {name for name in within(found, "app") if name in MODULES} - seen


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=str)
def test_packages_hold_a_docstring_only(path: Path) -> None:
    """Nothing is hidden in an __init__."""
    body = ast.parse(path.read_text()).body
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def test_a_store_that_is_not_used_is_not_imported() -> None:
    """Start-up is waited for: what one store needs, the other does without."""
    heavy = ("duckdb", "google.cloud", "grpc", "nanoarrow", "pyarrow", "sqlglot", "valkey", "drf_spectacular_sidecar")
    program = "import sys, app.__main__; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "app.main" in loaded
    assert not [name for name in loaded if name.startswith(heavy)]


def test_importing_the_service_does_nothing() -> None:
    """No file is written, no socket opened, no thread or process started, no logging set up, no setting read."""
    watcher = """
import sys, os, logging, threading, importlib, json
import urllib3  # not ours: it binds a socket to find out whether there is IPv6
seen = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.mkdir", "urllib.Request"):
        seen.append(event)
    if event == "open" and isinstance(arguments[1], str) and any(mode in arguments[1] for mode in "wax+"):
        seen.append(f"open {arguments[0]}")
class Environment(dict):
    def __getitem__(self, name): return self.look(name, super().__getitem__)
    def get(self, name, default=None): return self.look(name, lambda n: super(Environment, self).get(n, default))
    def look(self, name, how):
        if str(name).startswith("SLUICE_"): seen.append(f"read {name}")
        return how(name)
os.environ = Environment(os.environ)
sys.dont_write_bytecode = True
sys.addaudithook(watch)
handlers = list(logging.root.handlers)
for module in sys.argv[1:]:
    importlib.import_module(module)
if threading.active_count() > 1: seen.append("thread")
if logging.root.handlers != handlers or logging.getLogger("sluice").handlers: seen.append("logging")
print(json.dumps(seen))
"""
    for extra, expected in ((MODULES, []), (["tests.noisy_module"], ["open", "read", "thread", "logging"])):
        run = subprocess.run(
            [sys.executable, "-c", watcher, *extra], cwd=ROOT, capture_output=True, text=True, check=True
        )
        seen = msgspec.json.decode(run.stdout.splitlines()[-1], type=list[str])
        assert [each.partition(" ")[0] for each in seen] == expected, seen


@pytest.mark.parametrize("path", [path for path in SOURCES if "tests" in path.parts], ids=lambda path: path.name)
def test_no_test_sleeps_or_is_skipped_without_a_reason(path: Path) -> None:
    """Tests wait for conditions (a poll may pause), and what is skipped says loudly why."""
    assert faults(path.read_text()) == []


def faults(source: str) -> list[str]:
    """Return where a test pauses for a fixed time, or is skipped without saying why."""
    tree = ast.parse(source)
    polls = {inner for node in ast.walk(tree) if isinstance(node, ast.While) for inner in ast.walk(node)}
    calls = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        name, call = ast.unparse(node), calls.get(node)
        pauses = name == "asyncio.sleep" and node not in polls and call and ast.unparse(call.args[0]) != "0"
        skips = name.endswith(("mark.skipif", "pytest.skip", "mark.skip")) and not (
            call and (call.args or call.keywords)
        )
        if name == "time.sleep" or pauses or skips:
            found.append(f"line {node.lineno}: {name}")
    return found


def test_these_checks_can_fail() -> None:
    """Each finds its fault in a sample that has it."""
    assert within(imports("import urllib.request"), "urllib.request")
    assert within(imports("def f():\n    from app.query.feed import Page"), "app.query")
    assert not within(imports("from urllib.parse import quote"), "urllib.request")
    assert faults("import time\ntime.sleep(1)")
    assert faults("async def f():\n    await asyncio.sleep(1)")
    assert faults("@pytest.mark.skip\ndef test_x(): ...")
    assert faults("pytest.skip()")
    assert not faults("async def f():\n    while x:\n        await asyncio.sleep(0.1)\n    await asyncio.sleep(0)")
    assert not faults('@pytest.mark.skipif(x, reason="no java here")\ndef test_x(): ...')


def test_nothing_is_left_to_be_done_later() -> None:
    """No mark of unfinished work, and no room for odds and ends."""
    marks = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|raise Not" + "Implemented")
    for path in SOURCES:
        assert not marks.search(path.read_text()), path
        assert path.stem not in {"utils", "helpers", "manager", "base", "common", "misc"}, path
