"""Install local-bigquery into .local-bigquery/, once: a second call returns at once and touches no network.

find a Python ──> virtual environment ──> the pinned, hashed packages ──> DuckDB's extensions in a private HOME
──> a stamp, last: an installation that was interrupted does not count as one
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
DOWNLOADED_PYTHON = "3.13"
_SHOWN_LINES = 8
# What would lead uv or the new environment's Python astray: the caller's own environment is not the one meant.
_FOREIGN = frozenset(
    {*("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH"), "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"}
)
_DESCRIBE = """
import json, pathlib, duckdb
platform = duckdb.sql("PRAGMA platform").fetchone()[0]
version = duckdb.sql("PRAGMA version").fetchone()[0]
packages = pathlib.Path(duckdb.__file__).parents[1]
print(json.dumps({"version": version, "platform": platform, "packages": str(packages)}))
"""
_LOAD = """
import sys, duckdb
for extension in sys.argv[1:]:
    duckdb.sql(f"LOAD {extension}")
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
        """The file that says what was installed, written last."""
        return self.folder / ".installed"


class _DuckDB(msgspec.Struct, frozen=True):
    """What the environment's DuckDB says of itself."""

    version: str
    platform: str
    packages: str


def install(say: Callable[[str], None], folder: Path = FOLDER) -> Installation:
    """Return the installation in `folder`, making it when it is not there or not what it should be.

    Raises:
        NoPythonError: no Python of PYTHONS is there, and none can be downloaded.
        InstallError: anything else went wrong.
    """
    done = Installation(folder)
    checksum = _checksum(folder)
    if _is_done(done, checksum):
        return done
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".lock") as lock:
        if not _is_done(done, checksum):  # another process may have done it while this one waited
            done.stamp.unlink(missing_ok=True)
            _install(done, say, lock)
            partial = done.stamp.with_suffix(".partial")
            partial.write_text(checksum, encoding="utf-8")
            partial.replace(done.stamp)
    return done


def _checksum(folder: Path) -> str:
    """Return what tells one installation from another: the packages, how they are put in place, and where."""
    content = b"".join(path.read_bytes() for path in (REQUIREMENTS, Path(__file__)))
    return hashlib.sha256(content + str(folder).encode()).hexdigest()


def _is_done(installation: Installation, checksum: str) -> bool:
    if not os.access(installation.python, os.X_OK):  # also when it is a link to a Python that is gone
        return False
    return installation.stamp.exists() and installation.stamp.read_text(encoding="utf-8") == checksum


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock; a process that inherits the descriptor holds it too."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _install(installation: Installation, say: Callable[[str], None], lock: int) -> None:
    # Every program gets the lock: when this process is killed, what it left running still keeps others out.
    run = _Runner(lock)
    uv = run("looking for uv", ["sh", str(BOOTSTRAP), "--uv"]).strip() if BOOTSTRAP.exists() else _uv_on_path()
    python = _find_python(run, uv, installation.folder / "python", say)
    say(f"installing local-bigquery into {_shown(installation.folder)}/ (once; some 150 MB to download)")
    environment = installation.folder / "env"
    run("making an environment", [uv, "venv", "--quiet", "--clear", "--python", python, str(environment)])
    wheels_only = ["--require-hashes", "--only-binary", ":all:"]
    target = ["--python", str(installation.python), str(REQUIREMENTS)]
    run("installing its packages", [uv, "pip", "sync", "--quiet", *wheels_only, *target])
    _place_extensions(run, installation)


def _uv_on_path() -> str:
    path = shutil.which("uv")
    if path is None:
        raise InstallError("installing local-bigquery needs uv on PATH: https://docs.astral.sh/uv/")
    return path


class _Runner:
    """Runs the programs of an installation."""

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN} | _all_of_pyenv()

    def __call__(self, purpose: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
        """Return what the command prints.

        Raises:
            InstallError: it failed; the message has the end of what it said.
        """
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environ | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            pass_fds=[self._lock],
            check=False,
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
    return {"PYENV_VERSION": ":".join(listed.stdout.split())} if listed.stdout.split() else {}


def _find_python(run: _Runner, uv: str, downloads: Path, say: Callable[[str], None]) -> str:
    """Return a Python of PYTHONS: one of this machine, else one that uv downloads into `downloads`."""
    find = [uv, "python", "find", "--system", PYTHONS]
    try:
        return run("looking for a Python", find).strip()
    except InstallError:
        say(f"no Python {PYTHONS} on this machine: downloading Python {DOWNLOADED_PYTHON}")
    private = {"UV_PYTHON_INSTALL_DIR": str(downloads), "UV_PYTHON_PREFERENCE": "only-managed"}
    try:
        run("downloading it", [uv, "python", "install", "--no-bin", DOWNLOADED_PYTHON], private)
        return run("looking for it", find, private).strip()
    except InstallError as error:
        raise NoPythonError(
            f"local-bigquery needs Python {PYTHONS}. None was found on this machine, and {error}\n"
            "  Install one, for example with `pyenv install 3.13`, `brew install python@3.13` or your system's "
            "packages, and run this again. The service itself does not need it."
        ) from error


def _place_extensions(run: _Runner, installation: Installation) -> None:
    """Link DuckDB's extensions from their packages to where DuckDB looks, and see that it finds them."""
    described = run("asking DuckDB for its platform", [str(installation.python), "-c", _DESCRIBE])
    duckdb = msgspec.json.decode(described, type=_DuckDB)
    target = installation.home / ".duckdb" / "extensions" / duckdb.version / duckdb.platform
    shutil.rmtree(installation.home, ignore_errors=True)
    target.mkdir(parents=True)
    files = sorted(Path(duckdb.packages).glob(f"duckdb_extension_*/extensions/{duckdb.version}/*.duckdb_extension"))
    if not files:
        raise InstallError(f"{duckdb.packages} has no extensions for DuckDB {duckdb.version} on {duckdb.platform}")
    for file in files:
        (target / file.name).symlink_to(file)  # 100 MB that need not be there twice
    names = [file.name.partition(".")[0] for file in files]
    command = [str(installation.python), "-c", _LOAD, *names]
    run("loading DuckDB's extensions", command, {"HOME": str(installation.home)})


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
