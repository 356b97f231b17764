"""A Postgres server for the tests, on a socket of its own: from PATH, else where distributions put it.

No language's registry has one. Where there is none such tests are skipped, and the summary says so. With
REQUIRE_POSTGRES set, as the CI does, they fail.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.pace import patience_s

REQUIRED = "REQUIRE_POSTGRES"
_STOP_S = 30.0


def programs() -> Path:
    """Return the folder of the server's programs; skip the test where there is none, unless it is required."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    if os.environ.get(REQUIRED):
        pytest.fail("there is no Postgres server", pytrace=False)
    pytest.skip("NOT tested here: the Postgres sink, as there is no server (initdb)")


@contextmanager
def serving_postgres() -> Iterator[str]:
    """Run a server with an empty database; the value is its URL."""
    folder = programs()
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
        subprocess.run(create, check=True, capture_output=True, user=user, cwd="/")
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
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, user=user, cwd="/")
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
