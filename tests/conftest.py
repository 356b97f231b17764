"""What tests of every folder may ask for."""

import gc
import logging
import os
from collections.abc import Iterator

import pytest

from sluice.testing.pace import patience_s
from tests import long_form
from tests.local_bigquery import PREPARATION, Preparation, local_bigquery

__all__ = ["local_bigquery"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Scale the time limit of a test; install local-bigquery, where it is asked for, before the first one's runs."""
    long_form.choose()
    if config.option.timeout is None:
        config.option.timeout = patience_s(float(config.getini("timeout")))
    config.pluginmanager.register(Preparation(), PREPARATION)


@pytest.hookimpl(optionalhook=True)  # `make mutants` runs without xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores, as many tests wait for a process or a server; at most five."""
    return min((os.cpu_count() or 1) + 1, 5)


def pytest_report_header() -> str:
    """Say which form this is."""
    if long_form.IS_LONG:
        return "long form: all cases"
    return f"short form: {long_form.VARIABLE}=long runs what is deselected"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only the long form has, and start with what is slow, so that no process ends on it alone."""
    if not long_form.IS_LONG:
        long_form.deselect(config, items, [item for item in items if item.get_closest_marker("long")])
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what is there until the end: thousands of tests, and all they import."""
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Let the end of the process collect them after all: DuckDB reports each object that is left as leaked."""
    gc.unfreeze()
    gc.callbacks.clear()  # Hypothesis' own, which keeps what it can reach


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """Give loggers their levels back, which commands set for their process."""
    loggers = [logging.getLogger(name) for name in ("sluice", "google")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
