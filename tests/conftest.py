"""What tests of every folder may ask for."""

import pytest

from testing.pace import patience_s
from tests.local_bigquery import PREPARATION, Preparation, local_bigquery

__all__ = ["local_bigquery"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Scale the time limit of a test; install local-bigquery, where it is asked for, before the first one's runs."""
    if config.option.timeout is None:
        config.option.timeout = patience_s(float(config.getini("timeout")))
    config.pluginmanager.register(Preparation(), PREPARATION)
