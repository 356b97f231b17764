"""A Postgres server for the tests, on a socket of its own: from PATH, else the distribution's, installed or fetched.

Where there is none and apt cannot fetch it such tests are skipped, and the summary says so. With REQUIRE_POSTGRES set,
as the CI does, they fail.
"""

import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from sluice.testing.pace import patience_s
from tests.support import apt

REQUIRED = "REQUIRE_POSTGRES"
PACKAGE = "postgresql"
_STOP_S = 30.0
_INSTALLED = "usr/lib/postgresql/*/bin/initdb"


class Programs(NamedTuple):
    """The folder of the server's programs, and what finds their libraries."""

    folder: Path
    environ: Mapping[str, str]


def programs() -> Programs:
    """Return the server's programs; skip the test where there is none, unless it is required."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Programs(Path(on_path).parent, os.environ)
    if found := sorted(Path("/").glob(_INSTALLED)):
        return Programs(found[-1].parent, os.environ)
    try:
        return _fetched()
    except apt.UnavailableError as missing:
        if os.environ.get(REQUIRED):
            pytest.fail(f"there is no Postgres server: {missing}", pytrace=False)
        pytest.skip(f"NOT tested here: the Postgres sink. {missing}")


@functools.cache
def _fetched() -> Programs:
    """Return the programs of the distribution's package, unpacked until this process ends.

    Raises:
        apt.UnavailableError: there is no apt, or it cannot fetch the package.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)  # the server runs as another user if root runs the tests
    unpacked = apt.unpack(PACKAGE, folder, with_missing=True)
    found = sorted(unpacked.glob(_INSTALLED))
    if not found:
        raise apt.UnavailableError(f"the package {PACKAGE} has no server")
    libraries = ":".join(map(str, unpacked.glob("usr/lib/*-linux-gnu")))
    return Programs(found[-1].parent, os.environ | {"LD_LIBRARY_PATH": libraries})


@contextmanager
def serving_postgres() -> Iterator[str]:
    """Run a server with an empty database; the value is its URL."""
    folder, environ = programs()
    user = _other_user()
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        data = Path(name)
        if user is not None:
            os.chown(data, *_ids(user))
        create: list[str | Path] = [
            folder / "initdb",
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--encoding=UTF8",
            data / "db",
        ]
        subprocess.run(create, check=True, capture_output=True, user=user, cwd="/", env=environ)
        command: list[str | Path] = [
            folder / "postgres",
            "-D",
            data / "db",
            "-k",
            data,
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
        ]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, user=user, cwd="/", env=environ)
        try:
            assert server.stderr is not None
            said = list[str]()
            for line in server.stderr:
                said.append(line)
                if "ready to accept connections" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield f"postgresql://postgres@/postgres?host={data}"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.communicate(timeout=patience_s(_STOP_S))


def _other_user() -> str | None:
    """Return who runs the server if root runs the tests: the server refuses to be root."""
    if os.geteuid():
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid
