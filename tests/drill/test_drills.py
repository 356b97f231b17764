"""Every drill breaks a real system, which the run-book's own commands mend, and no record is lost or repeated."""

import re
import subprocess
import sys

import pytest

from sluice.local.ports import quiet_ports
from sluice.ops.drill.catalogue import DRILLS
from sluice.testing.pace import patience_s
from tests.long_form import long

SHORT = "dead-letters"
"""The drill that the short form does."""
TIMEOUT_S = patience_s(120)
"""Ends a drill that would never end."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == SHORT else long) for name in DRILLS]
)
def test_the_run_book_mends_it(name: str) -> None:
    """What was published before, meanwhile and afterwards is in the feed exactly once."""
    port = str(quiet_ports(1)[0])
    command = [sys.executable, "-P", "-m", "sluice", "drill", "--port", port, name, "--mend"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"All (\d+) published records are in the feed exactly once", done.stdout)
    assert found is not None
    assert int(found[1]) > 5, "some were published while it was broken"
    assert DRILLS[name].about in done.stdout
