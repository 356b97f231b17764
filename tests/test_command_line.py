"""`python -m app` and its neighbours, as somebody who has never run them tries them."""

import subprocess
import sys

import pytest

from app.version import VERSION
from tests.support.process import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the service with arguments."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_it_is_and_starts_nothing(flag: str) -> None:
    """What it does, how it is configured, where the settings are listed, and what its exit statuses mean."""
    ended = run("app", flag)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: python -m app [-h] [--version]\n")
    for words in (
        *("Pub/Sub", "SLUICE_", "python -m app.settings", "docs/settings.md", "exit status:"),
        "  2  cannot start",
    ):
        assert words in ended.stdout


def test_the_version_is_told() -> None:
    """On one line, with the name."""
    assert (run("app", "--version").stdout, run("app", "--version").returncode) == (f"sluice {VERSION}\n", 0)
