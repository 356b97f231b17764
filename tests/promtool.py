"""`promtool`, Prometheus's own evaluator of rules, for the tests: from PATH, else from the distribution's package.

No language's registry has it. One file of the package is kept in .cache/. Where neither is available such tests are
skipped, and the summary says so. With REQUIRE_PROMTOOL set, as the CI does, they fail.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support import apt

REQUIRED = "REQUIRE_PROMTOOL"
PACKAGE = "prometheus"
CACHE = Path(__file__).parents[1] / ".cache" / "promtool"


def program() -> str:
    """Return the program; skip the test where there is none, unless it is required."""
    try:
        return shutil.which("promtool") or str(_installed())
    except apt.UnavailableError as error:
        missing = f"promtool is not on PATH, and {error}"
        if os.environ.get(REQUIRED):
            pytest.fail(missing, pytrace=False)
        pytest.skip(f"NOT tested here: the queries of alerts and boards. {missing}")


def _installed() -> Path:
    """Return the program from the distribution's package, fetched if it is not there yet.

    Raises:
        apt.UnavailableError: there is no apt, or it cannot fetch the package.
    """
    program = CACHE / "promtool"
    if not program.exists():
        with tempfile.TemporaryDirectory() as folder:
            unpacked = apt.unpack(PACKAGE, Path(folder))
            CACHE.mkdir(parents=True, exist_ok=True)
            part = CACHE / f"promtool.{os.getpid()}"  # several processes of tests may begin at once
            shutil.copy(unpacked / "usr" / "bin" / "promtool", part)
            part.replace(program)
    return program


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, check=False)
