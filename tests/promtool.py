"""`promtool`, Prometheus's own evaluator of rules, for the tests: from PATH, else from the distribution's package.

No language's registry has it. So apt fetches the package once, from the sources of this machine and with their
signatures checked, into folders of its own: it needs no rights and installs nothing. One file of it is kept in .cache/.
Where neither is available such tests are skipped, and the summary says so. With REQUIRE_PROMTOOL set, as the CI does,
they fail.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

REQUIRED = "REQUIRE_PROMTOOL"
_PACKAGE = "prometheus"
_CACHE = Path(__file__).parents[1] / ".cache" / "promtool"
_TIMEOUT_S = 240


class UnavailableError(Exception):
    """promtool is not on PATH, and apt cannot fetch its package."""


def promtool() -> str:
    """Return the program; skip the test where there is none, unless it is required."""
    try:
        return shutil.which("promtool") or str(installed())
    except UnavailableError as error:
        if os.environ.get(REQUIRED):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"NOT tested here: the queries of alerts and boards. {error}")


def installed(cache: Path = _CACHE) -> Path:
    """Return the program from the distribution's package, fetched if it is not there yet.

    Raises:
        UnavailableError: there is no apt, or it cannot fetch the package.
    """
    program = cache / "promtool"
    if not program.exists():
        if shutil.which("apt-get") is None:
            raise UnavailableError("promtool is not on PATH, and there is no apt to fetch it with")
        with tempfile.TemporaryDirectory() as folder:
            _fetch(Path(folder))
            cache.mkdir(parents=True, exist_ok=True)
            part = cache / f"promtool.{os.getpid()}"  # several processes of tests may begin at once
            shutil.copy(Path(folder) / "unpacked" / "usr" / "bin" / "promtool", part)
            part.replace(program)
    return program


def _fetch(folder: Path) -> None:
    """Unpack the package into `unpacked`; every file that apt writes is below `folder`."""
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    own = (
        *("-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"),
        *("-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}", "-o", "Acquire::Languages=none"),
    )
    _run(folder, "apt-get", "-qq", *own, "update")
    _run(folder, "apt-get", "-qq", *own, "download", _PACKAGE)
    package = next(folder.glob(f"{_PACKAGE}_*.deb"), None)
    if package is None:
        raise UnavailableError(f"promtool is not on PATH, and apt has no package {_PACKAGE}")
    _run(folder, "dpkg-deb", "-x", str(package), "unpacked")


def _run(folder: Path, *command: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().rpartition("\n")[2]
        raise UnavailableError(f"promtool is not on PATH, and {command[0]} cannot fetch {_PACKAGE}: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"promtool is not on PATH, and {command[0]} did not end: {error}") from error


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run([promtool(), *map(str, arguments)], capture_output=True, text=True, check=False)
