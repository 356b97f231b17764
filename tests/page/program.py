"""The browser's program for the tests of the page: where there is none they are skipped, and the summary says so.

With REQUIRE_CHROMIUM set, as the CI does, they fail instead.
"""

import os

import pytest

from tests.support import apt
from tests.support.chromium import program as chromium

REQUIRED = "REQUIRE_CHROMIUM"


def program() -> str:
    """Return the program; skip the test where there is none, unless it is required."""
    try:
        return chromium.program()
    except apt.UnavailableError as error:
        missing = f"no Chromium is on PATH or named in CHROMIUM, and {error}"
        if os.environ.get(REQUIRED):
            pytest.fail(missing, pytrace=False)
        pytest.skip(f"NOT tested here: the page in a browser. {missing}")
