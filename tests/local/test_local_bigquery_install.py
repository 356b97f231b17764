"""local-bigquery is installed once, whole, and from hashed packages; what stands in the way is said in one message.

A script takes uv's place: it writes down how it was called and makes an environment whose Python is a script too.
"""

import re
from pathlib import Path

import pytest

import sluice.local.bigquery.install
from sluice.local.bigquery.errors import InstallError, NoPythonError
from sluice.local.bigquery.install import REQUIREMENTS, Installation, install

UV = """#!/bin/sh
echo "$* [VIRTUAL_ENV=$VIRTUAL_ENV PYENV_VERSION=$PYENV_VERSION]" >>"$FAKE/calls"
for last; do :; done
case "$1 $2" in
"--version "*) echo "uv 99.0.0" ;;
"venv "*) [ -e "$FAKE/interpreter" ] || exit 2
  rm -rf "$last"; mkdir -p "$last/bin"; cp "$FAKE/python" "$last/bin/python" ;;
"pip sync") if [ -e "$FAKE/broken" ]; then rm "$FAKE/broken"; echo "error: no route to the index" >&2; exit 2; fi ;;
esac
"""
PYTHON = """#!/bin/sh
printf '%s\n' "$FAKE/packages" v9 an_os
"""


class Fake:
    """A folder of scripts, and of files that decide what they do."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()
        self.installation = Installation(folder / "installed")

    def write(self, name: str, text: str = "") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def install(self) -> Installation:
        return install(self.said.append, self.installation.folder)

    def calls(self, of: str = "") -> list[str]:
        """Return how uv was called, as far as the calls began so."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(of) and not line.startswith("--version")]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put the scripts where they are found; there is a Python, and the packages have an extension."""
    fake = Fake(tmp_path)
    fake.write("bin/uv", UV)
    fake.write("python", PYTHON)
    fake.write("interpreter", "/the/python3.13")
    fake.write("packages/duckdb_extension_icu/extensions/v9/icu.duckdb_extension", "the extension")
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "FAKE": str(tmp_path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return fake


def test_everything_is_installed_once_from_wheels_that_were_hashed(fake: Fake) -> None:
    """An environment is made, and filled with what is pinned; a second call runs nothing."""
    installed = fake.install()
    venv, sync = (re.sub(r" \[.*", "", call) for call in fake.calls())
    assert venv == f"venv --quiet --clear --no-project --python >=3.13,<3.15 {installed.folder / 'env'}"
    assert sync.startswith("pip sync --quiet --require-hashes --only-binary :all: --python ")
    assert sync.endswith(f"{installed.python} {REQUIREMENTS}")
    home = installed.home  # not the user's
    assert home.is_relative_to(fake.installation.folder)
    assert (home / ".duckdb/extensions/v9/an_os/icu.duckdb_extension").read_text() == "the extension"
    fake.install()
    assert (len(fake.calls()), len(fake.said)) == (2, 1)


def change_the_packages(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pin something else."""
    monkeypatch.setattr(sluice.local.bigquery.install, "REQUIREMENTS", fake.write("other.txt", "other==1"))


def test_other_packages_are_installed_again(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another pin means a new environment."""
    fake.install()
    change_the_packages(fake, monkeypatch)
    fake.install()
    assert len(fake.calls("venv")) == 2


def test_an_installation_that_was_interrupted_is_begun_again(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended half-way does not count, even when the packages are those of an earlier whole one."""
    fake.install()
    fake.write("broken")
    with monkeypatch.context() as patch:
        change_the_packages(fake, patch)
        with pytest.raises(InstallError, match=r"installing its packages failed .*\n *error: no route to the index"):
            fake.install()
    fake.install()
    assert len(fake.calls("pip sync")) == 3


def test_without_a_python_the_message_says_how_to_get_one(fake: Fake) -> None:
    """It names the versions, what was tried, and what to do."""
    (fake.folder / "interpreter").unlink()
    with pytest.raises(
        NoPythonError, match=r"needs Python >=3\.13.*making an environment failed(.|\n)*pyenv install 3\.13"
    ):
        fake.install()
    assert not fake.installation.stamp.exists()
