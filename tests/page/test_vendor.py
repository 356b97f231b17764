"""The libraries in the repository are what the lock names, byte for byte."""

import hashlib
from pathlib import Path

import pytest

from tests.support.process import ROOT

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
