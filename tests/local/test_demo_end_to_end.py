"""The demonstration itself, with a few hundred flights, through the real processes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.testing.pace import patience_s
from tests.long_form import long

WITHIN_S = patience_s(120.0)
CHECKS = 11


def demonstrate(data_path: Path, flights: int, *more: str) -> str:
    """Run the demonstration on this store and return what it showed; it must succeed."""
    arguments = ["demo", "--exit", "--flights", str(flights), "--data-path", str(data_path), *more]
    ended = subprocess.run(
        [sys.executable, "-m", "sluice", *arguments],
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
        all_hold(demonstrate(store, 100))
    assert store.stat().st_size > 0


@long
@pytest.mark.usefixtures("local_bigquery")
def test_everything_arrives_in_bigquery(tmp_path: Path) -> None:
    """All checks hold over a local-bigquery, whose data and log are beside where the embedded store would be."""
    store = tmp_path / "demo.duckdb"
    all_hold(demonstrate(store, 100, "--backend", "bigquery"))
    assert not store.exists()
    assert {path.name for path in store.with_suffix(".bigquery").iterdir()} == {"local-bigquery.log", "store"}


def all_hold(shown: str) -> None:
    """Require that every check was shown to hold."""
    assert len(re.findall(r"^ +holds ", shown, re.MULTILINE)) == CHECKS
    assert "FAILS" not in shown
