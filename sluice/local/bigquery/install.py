"""Install local-bigquery into .local-bigquery/, once: a second call returns at once and touches no network.

uv makes a virtual environment, with a Python that it finds or downloads ──> the pinned, hashed packages ──> DuckDB's
extensions in a private HOME ──> a stamp, last: an installation that was interrupted does not count as one
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sluice.local.bigquery.errors import InstallError, NoPythonError

ROOT = Path(__file__).parents[3]
BOOTSTRAP = ROOT / "bootstrap.sh"
"""Finds uv, in a clone; an installation of the wheel has none."""
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = ROOT / ".local-bigquery" if BOOTSTRAP.exists() else _CACHE / "sluice" / "local-bigquery"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PYTHONS = ">=3.13,<3.15"
"""What local-bigquery runs on and all of its packages have wheels for."""
_SHOWN_LINES = 8
# What would lead uv or the new environment's Python astray: the caller's own environment is not the one meant.
_FOREIGN = {
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
}
_DESCRIBE = """
import pathlib, duckdb
print(pathlib.Path(duckdb.__file__).parents[1])
print(duckdb.sql("PRAGMA version").fetchone()[0])
print(duckdb.sql("PRAGMA platform").fetchone()[0])
"""


class Installation(msgspec.Struct, frozen=True):
    """Where local-bigquery is installed."""

    folder: Path

    @property
    def program(self) -> Path:
        """The command."""
        return self.folder / "env" / "bin" / "local-bigquery"

    @property
    def python(self) -> Path:
        """The Python of its environment."""
        return self.folder / "env" / "bin" / "python"

    @property
    def home(self) -> Path:
        """The HOME it must run with: DuckDB looks for its extensions there."""
        return self.folder / "home"

    @property
    def stamp(self) -> Path:
        """The file that says what was installed where, written last."""
        return self.folder / ".installed"


def install(say: Callable[[str], None], folder: Path = FOLDER) -> Installation:
    """Return the installation in `folder`, making it when it is not there or not what it should be.

    Raises:
        NoPythonError: no Python of PYTHONS is there, and none can be downloaded.
        InstallError: anything else went wrong.
    """
    folder = folder.resolve()  # several checkouts may link to one installation
    done = Installation(folder)
    expected = f"{folder}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if _is_done(done, expected):
        return done
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_done(done, expected):  # another process may have done it while this one waited
            done.stamp.unlink(missing_ok=True)
            say(f"installing local-bigquery into {folder}/ (once; some 150 MB to download)")
            _install(done)
            partial = done.stamp.with_suffix(".partial")
            partial.write_text(expected, encoding="utf-8")
            partial.replace(done.stamp)
    return done


def _is_done(installation: Installation, expected: str) -> bool:
    if not os.access(installation.python, os.X_OK):  # also when it is a link to a Python that is gone
        return False
    return installation.stamp.exists() and installation.stamp.read_text(encoding="utf-8") == expected


def _install(installation: Installation) -> None:
    uv = _run("looking for uv", ["sh", str(BOOTSTRAP), "--uv"]).strip() if BOOTSTRAP.exists() else shutil.which("uv")
    if uv is None:
        raise InstallError("installing local-bigquery needs uv on PATH: https://docs.astral.sh/uv/")
    environment = str(installation.folder / "env")
    try:
        _run(
            "making an environment",
            [uv, "venv", "--quiet", "--clear", "--no-project", "--python", PYTHONS, environment],
        )
    except InstallError as error:
        raise NoPythonError(
            f"local-bigquery needs Python {PYTHONS}, and {error}\n"
            "  Install one, for example with `pyenv install 3.13`, `brew install python@3.13` or your system's "
            "packages, and run this again. The service itself does not need it."
        ) from error
    wheels_only = ["--require-hashes", "--only-binary", ":all:"]
    target = ["--python", str(installation.python), str(REQUIREMENTS)]
    _run("installing its packages", [uv, "pip", "sync", "--quiet", *wheels_only, *target])
    _place_extensions(installation)


def _place_extensions(installation: Installation) -> None:
    """Link DuckDB's extensions from their packages to where DuckDB looks."""
    described = _run("asking DuckDB for its platform", [str(installation.python), "-c", _DESCRIBE])
    packages, version, platform = described.splitlines()
    shutil.rmtree(installation.home, ignore_errors=True)
    target = installation.home / ".duckdb" / "extensions" / version / platform
    target.mkdir(parents=True)
    files = sorted(Path(packages).glob(f"duckdb_extension_*/extensions/{version}/*.duckdb_extension"))
    if not files:
        raise InstallError(f"{packages} has no extensions for DuckDB {version} on {platform}")
    for file in files:
        (target / file.name).symlink_to(file)  # 100 MB that need not be there twice


def _run(purpose: str, command: Sequence[str]) -> str:
    """Return what the command prints.

    Raises:
        InstallError: it failed; the message has the end of what it said.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN} | _all_of_pyenv()
    ended = subprocess.run(
        command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines()[-_SHOWN_LINES:]
        raise InstallError("\n  ".join([f"{purpose} failed with status {ended.returncode}:", *lines]))
    return ended.stdout


def _all_of_pyenv() -> dict[str, str]:
    """Return the variable that lets all of pyenv's Pythons run: its commands fail for those not chosen."""
    if shutil.which("pyenv") is None:
        return {}
    listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False)
    return {"PYENV_VERSION": ":".join(listed.stdout.split())}
