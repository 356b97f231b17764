"""`promtool`, Prometheus's own evaluator of rules, for the tests: from PATH, else from Debian's package.

No package registry has it. So the package is fetched once, checked against the digest below, and one file of it is kept
in .cache/. Where neither is to be had such tests are skipped, and the summary says so. With REQUIRE_PROMTOOL set, as
the CI does, they fail.
"""

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest

REQUIRED = "REQUIRE_PROMTOOL"
VERSION = "2.42.0+ds-5+deb12u1"
DIGESTS = {
    "amd64": "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
    "arm64": "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_URL = "https://deb.debian.org/debian/pool/main/p/prometheus/prometheus_{version}_{architecture}.deb"
_FILE = "./usr/bin/promtool"
_CACHE = Path(__file__).parents[1] / ".cache" / "promtool" / VERSION
_AR_HEADER = 60  # https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html
_TIMEOUT_S = 120


class UnavailableError(Exception):
    """There is no promtool for this machine, or its package cannot be fetched."""


def promtool() -> str:
    """Return the program; skip the test where there is none, unless it is required."""
    try:
        return shutil.which("promtool") or str(installed())
    except UnavailableError as error:
        if os.environ.get(REQUIRED):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"NOT tested here: the queries of alerts and boards. {error}")


def installed(cache: Path = _CACHE) -> Path:
    """Return the program from Debian's package, fetched if it is not there yet.

    Raises:
        UnavailableError: it is not made for this machine, or cannot be fetched.
    """
    program = cache / "promtool"
    if not program.exists():
        architecture = _MACHINES.get(platform.machine())
        if sys.platform != "linux" or architecture is None:
            raise UnavailableError("promtool is not on PATH, and Debian's package does not run here")
        url = _URL.format(version=VERSION, architecture=architecture)
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the address is above
                package = answer.read()
        except OSError as error:
            raise UnavailableError(f"promtool is not on PATH, and {url} cannot be fetched ({error})") from error
        if hashlib.sha256(package).hexdigest() != DIGESTS[architecture]:
            raise UnavailableError(f"{url} is not the package that tests/promtool.py names")
        cache.mkdir(parents=True, exist_ok=True)
        part = cache / f"promtool.{os.getpid()}"  # several processes of tests may begin at once
        part.write_bytes(_file_of(package))
        part.chmod(0o755)
        part.replace(program)
    return program


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run([promtool(), *map(str, arguments)], capture_output=True, text=True, check=False)


def _file_of(package: bytes) -> bytes:
    """Return the program in a Debian package, which is an archive of archives."""
    at = len(b"!<arch>\n")
    while at < len(package):
        name = package[at : at + 16].decode().strip().rstrip("/")
        size = int(package[at + 48 : at + 58])
        at += _AR_HEADER
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(package[at : at + size])) as data:
                found = data.extractfile(_FILE)
                assert found is not None
                return found.read()
        at += size + size % 2
    raise UnavailableError("Debian's package holds no promtool")
