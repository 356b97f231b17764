"""The wheel for the tests that need it, installed once for each process of tests."""

import pytest

from tests.cli.wheel import Installed, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Give an installation of the wheel."""
    return install(tmp_path_factory.mktemp("wheel"))
