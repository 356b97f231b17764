"""What tests of every folder may ask for."""

import pytest

from tests.double import PREPARATION, Preparation, local_bigquery

__all__ = ["local_bigquery"]


def pytest_configure(config: pytest.Config) -> None:
    """Install local-bigquery for a session that asks for it, before the clock of its first test runs."""
    config.pluginmanager.register(Preparation(), PREPARATION)
