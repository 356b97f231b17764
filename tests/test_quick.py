"""Which tests `make quick` runs, and what a run prints."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import quick

ROOT = quick.ROOT
FILES = {
    "app/query/request/cursor.py": "",
    "client/sluice_client/retry.py": "",
    "sluice/testing/process.py": "import subprocess\n",
    "tests/conftest.py": "from app.query.request import cursor\n",
    "tests/client/test_retry.py": "from sluice_client.retry import x\n",
    "tests/query/double.py": "from app.query.request import cursor, scan\n",
    "tests/query/test_cursor.py": "import app.query.request.cursor\n",
    "tests/query/test_feed.py": "from tests.query.double import x\n",
    "tests/query/test_kill.py": "from app.query.request.cursor import x\nfrom sluice.testing.process import y\n",
    "tests/query/test_scan.py": "from app.query.request import scan\n",
    "tests/ingest/test_push.py": "from app.query.request.cursor import x\n",
}


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository of these files, and look there."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.setattr(quick, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (
            "app/query/request/cursor.py",
            ["tests/query/test_cursor.py", "tests/query/test_feed.py", "tests/query/test_kill.py"],
        ),
        ("client/sluice_client/retry.py", ["tests/client/test_retry.py"]),
        ("tests/query/double.py", ["tests/query/test_feed.py"]),
        ("tests/query/test_scan.py", ["tests/query/test_scan.py"]),
        ("README.md", []),
    ],
)
def test_the_tests_of_a_change_import_it_in_the_mirrored_folder(changed: str, tests: list[str]) -> None:
    """A double in between counts, and what tests of another folder import does not."""
    assert quick.tests_of([changed]) == tests


def test_a_double_that_starts_a_process_makes_a_test_impure(tree: Path) -> None:
    """So does whatever the test itself imports."""
    assert quick.is_pure(tree / "tests/query/test_feed.py")
    assert not quick.is_pure(tree / "tests/query/test_kill.py")


def test_a_run_ends_without_reports_of_leaks() -> None:
    """DuckDB reports each of its objects that the end of a process does not collect."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", "tests/query/test_endpoints.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
