"""The libraries in the repository are what the lock names, byte for byte."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.process import ROOT

PAGE = ROOT / "app" / "page"
FOLDERS = ("page/vendor", "openapi/vendor")


def recorded(vendor: Path) -> dict[str, str]:
    """Return the recorded sums by file name."""
    lines = (vendor / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_files_are_those_that_were_recorded(folder: str) -> None:
    """Each has its sum, and there is no other; the licence is among them."""
    vendor = ROOT / "app" / folder
    assert set(recorded(vendor)) == {file.name for file in vendor.iterdir()} - {"SHA256SUMS"}
    for name, digest in recorded(vendor).items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name
    (licence,) = (file.read_text() for file in vendor.glob("*.LICENSE"))
    assert "MIT License" in licence or "Apache License" in licence


def test_the_files_are_those_of_the_packages(tmp_path: Path) -> None:
    """What `vendor.sh` copies from npm is what is here."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here to fetch the packages with")
    run = subprocess.run(["sh", PAGE / "vendor.sh", tmp_path], capture_output=True, text=True, check=False)
    if run.returncode and any(word in run.stderr for word in ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT")):
        pytest.skip("npm reaches no registry from here")
    assert run.returncode == 0, run.stderr
    for folder in FOLDERS:
        for file in (ROOT / "app" / folder).iterdir():
            assert (tmp_path / folder / file.name).read_bytes() == file.read_bytes(), file.name
