"""Rules about the code: packages, and what a test may not do; and what importing the service costs.

Who may import whom is a contract of import-linter (`make lint`).
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from tests.rules import ROOT, SOURCES, Rule, check

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "app").rglob("*.py")
    if path.name != "__main__.py"
)
PACKAGES = [path for path in SOURCES if path.name == "__init__.py"]
MAPPED = [
    *(ROOT / "app" / folder / "__init__.py" for folder in ("", "health", "http", "ingest", "query", "query/tail")),
    *(ROOT / "app" / folder / "__init__.py" for folder in ("page", "runtime", "settings", "stores", "telemetry")),
    *(ROOT / "app/stores" / folder / "__init__.py" for folder in ("bigquery", "duckdb")),
    *(path for path in PACKAGES if path.relative_to(ROOT).parts[0] in {"bench", "client"}),
]
_PAUSES = re.compile("sleep|skip")


def code_in_package(path: Path) -> Iterator[tuple[int, str]]:
    """An `__init__.py` holds a docstring only; those that users import also name what is public."""
    is_public = path.parent in {ROOT / "client" / "sluice_client", ROOT / "sluice"}
    for node in ast.parse(path.read_text()).body:
        if is_public and ast.unparse(node).startswith(("from sluice_client.", "from app.", "__all__ = ")):
            continue
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node.lineno, "code in a package's __init__.py"


def unmapped(path: Path) -> Iterator[tuple[int, str]]:
    """A package's docstring names each of its modules and packages, and each row of its table one that is there."""
    folder, text = path.parent, ast.get_docstring(ast.parse(path.read_text())) or ""
    words = set(re.findall(r"\w+", text))
    names = {found.stem for found in folder.glob("*.py")} | {
        found.parent.name for found in folder.glob("*/__init__.py")
    }
    for name in sorted(names - words - {"__init__", "__main__"}):
        yield 1, f"the docstring does not name {name}"
    there = {found.name for found in folder.iterdir()} | names
    for line in text.splitlines():
        *cells, _ = re.split(r" {2,}", line.strip())
        if cells and not any({name.rstrip("/") for name in cell.split(", ")} <= there or "." in cell for cell in cells):
            yield 1, f"the docstring names what is not there: {line.strip()}"


def sleeps_or_skips(path: Path) -> Iterator[tuple[int, str]]:
    """A test waits for a condition (a poll may pause), and a skipped one says why."""
    source = path.read_text()
    if not _PAUSES.search(source):  # most files: parsing them all takes seconds
        return
    tree = ast.parse(source)
    polls = {inner for node in ast.walk(tree) if isinstance(node, ast.While) for inner in ast.walk(node)}
    calls = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in {"sleep", "skip", "skipif"}:
            continue
        name, call = ast.unparse(node), calls.get(node)
        pauses = name == "asyncio.sleep" and node not in polls and call and ast.unparse(call.args[0]) != "0"
        skips = name.endswith(("mark.skipif", "pytest.skip", "mark.skip")) and not (
            call and (call.args or call.keywords)
        )
        if name == "time.sleep" or pauses or skips:
            yield node.lineno, name


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (code_in_package, PACKAGES),
        (unmapped, MAPPED),
        (sleeps_or_skips, [path for path in SOURCES if path.relative_to(ROOT).parts[0] == "tests"]),
    ],
    ids=lambda value: getattr(value, "__name__", "files"),
)
def test_files_keep_the_rules(rule: Rule, files: list[Path]) -> None:
    """Each rule's docstring says what it demands; doubles are held to those for tests too."""
    check(rule, files)


@pytest.mark.parametrize(
    ("rule", "breaks", "keeps"),
    [
        (code_in_package, '"""A docstring."""\nimport os', '"""A docstring."""'),
        (unmapped, '"""Names nothing."""', '"""sample  what is checked here"""'),
        (unmapped, '"""sample  this\n\ngone, sample  that"""', '"""in two columns  sample  this\n\napp.main  that"""'),
        (sleeps_or_skips, "import time\ntime.sleep(1)", "async def f():\n    await asyncio.sleep(0)"),
        (
            sleeps_or_skips,
            "async def f():\n    await asyncio.sleep(1)",
            "async def f():\n    while x:\n        await asyncio.sleep(0.1)",
        ),
        (
            sleeps_or_skips,
            "@pytest.mark.skip\ndef test_x(): ...",
            '@pytest.mark.skip("no java here")\ndef test_x(): ...',
        ),
        (sleeps_or_skips, "pytest.skip()", 'pytest.skip("no java here")'),
    ],
)
def test_each_rule_finds_what_breaks_it(rule: Rule, breaks: str, keeps: str, tmp_path: Path) -> None:
    """One sample breaks the rule, and the like of it keeps it."""
    sample = tmp_path / "sample.py"
    sample.write_text(keeps)
    check(rule, [sample])
    sample.write_text(breaks)
    with pytest.raises(AssertionError, match=r"sample\.py:\d+: "):
        check(rule, [sample])


def test_a_store_that_is_not_used_is_not_imported() -> None:
    """Start-up is waited for: what one store needs, the other does without."""
    heavy = ("duckdb", "google.cloud", "grpc", "nanoarrow", "pyarrow", "sqlglot", "valkey")
    program = "import sys, app.__main__; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "app.main" in loaded
    assert not [name for name in loaded if name.startswith(heavy)]


def test_what_no_route_is_written_in_is_not_imported(tmp_path: Path) -> None:
    """Litestar would import them wherever they are installed, as the tests have them."""
    program = (
        "import sys; from app.main import create_app; from app.settings.load import Settings; "
        "create_app(Settings().replace(data_path=sys.argv[1])); print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data.duckdb")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert {"duckdb", "litestar"} <= {*loaded}
    assert not {"attrs", "pydantic"} & {*loaded}
    assert find_spec("attrs") is not None
    assert find_spec("pydantic") is not None


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
