"""The demonstration itself, with a few hundred flights, through the real processes."""

import re
import subprocess
import sys
from pathlib import Path

WITHIN_S = 120.0
CHECKS = 10


def demonstrate(data_path: Path) -> str:
    """Run the demonstration on this store and return what it showed; it must succeed."""
    arguments = ["demo", "--exit", "--flights", "300", "--data-path", str(data_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "dev", *arguments],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    logs = "".join(path.read_text() for path in sorted(data_path.with_suffix(".logs").glob("*.log")))
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}\n{logs}"
    return ended.stdout


def test_everything_arrives_twice_on_the_same_store(tmp_path: Path) -> None:
    """All checks hold on a new store, and again for a second run on the store that holds the first."""
    store = tmp_path / "demo.duckdb"
    for _ in range(2):
        shown = demonstrate(store)
        assert len(re.findall(r"^ +holds ", shown, re.MULTILINE)) == CHECKS
        assert "FAILS" not in shown
    assert store.stat().st_size > 0
