"""Programs of the distribution, fetched by the machine's own apt and unpacked: nothing is installed.

apt reads the sources of this machine and checks their signatures, in folders of its own: it needs no rights.
"""

import os
import shutil
import subprocess
from pathlib import Path

_TIMEOUT_S = 240


class UnavailableError(Exception):
    """There is no apt, or it cannot fetch the package."""


def unpack(package: str, folder: Path, *also: str, with_missing: bool = False) -> Path:
    """Unpack a package below `folder`, and return where.

    Args:
        package: its name.
        folder: an empty folder, which also holds what apt writes.
        also: the names of packages to unpack with it, unless this machine has them.
        with_missing: also unpack the packages that it needs and this machine does not have.

    Raises:
        UnavailableError: there is no apt, or it cannot fetch the package.
    """
    if shutil.which("apt-get") is None:
        raise UnavailableError(f"there is no apt to fetch {package} with")
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    own = (
        *("-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"),
        *("-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}", "-o", "Acquire::Languages=none"),
        *("-o", "Debug::NoLocking=true"),  # the lock of the installed packages is root's
    )
    main_command = ("--yes", "--no-install-recommends", "--download-only", "install") if with_missing else ("download",)
    for command in (("update",), (*main_command, package, *also)):
        _run(package, folder, "apt-get", "-qq", *own, *command)
    files = [*folder.glob("*.deb"), *folder.glob("cache/archives/*.deb")]
    if not any(file.name.startswith(f"{package}_") for file in files):
        raise UnavailableError(f"apt has no package {package}")
    for file in files:
        _run(package, folder, "dpkg-deb", "-x", str(file), "unpacked")
    return folder / "unpacked"


def _run(package: str, folder: Path, *command: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        last_line = (error.stderr or "").strip().rpartition("\n")[2]
        raise UnavailableError(f"{command[0]} cannot fetch {package}: {last_line}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} did not fetch {package}: {error}") from error
