"""The chart library in the repository is what the lock names, byte for byte."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sluice.testing.process import ROOT

PAGE = ROOT / "app" / "page"
VENDOR = PAGE / "vendor"


def recorded() -> dict[str, str]:
    """Return the recorded sums by file name."""
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def test_the_files_are_those_that_were_recorded() -> None:
    """Each has its sum, and there is no other; the licence is among them."""
    assert set(recorded()) == {file.name for file in VENDOR.iterdir()} - {"SHA256SUMS"}
    for name, digest in recorded().items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    assert "MIT License" in (VENDOR / "uplot.LICENSE").read_text()


def test_the_lock_names_the_package_exactly_and_no_registry() -> None:
    """One version with its checksum, which npm gets from wherever it is set up to."""
    wanted = json.loads((PAGE / "package.json").read_text())["dependencies"]
    packages = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    assert set(packages) == {"", "node_modules/uplot"}
    locked = packages["node_modules/uplot"]
    assert wanted == {"uplot": locked["version"]}
    assert locked["integrity"].startswith("sha512-")
    assert "resolved" not in locked
    assert locked["version"] in (VENDOR / "uplot.js").read_text()[:200]


def test_the_files_are_those_of_the_package(tmp_path: Path) -> None:
    """What `vendor.sh` copies from npm is what is here."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here to fetch the package with")
    run = subprocess.run(["sh", PAGE / "vendor.sh", tmp_path], capture_output=True, text=True, check=False)
    if run.returncode and any(word in run.stderr for word in ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT")):
        pytest.skip("npm reaches no registry from here")
    assert run.returncode == 0, run.stderr
    for file in VENDOR.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
