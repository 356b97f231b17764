"""pytest's part of `make test-cloud` (`-p tests.cloud.plugin`): the tests over BigQuery, and no more than the bound."""

from typing import Any

import pytest
from google.cloud.bigquery._http import Connection

from tests.cloud.bound import Bound


class Queries:
    """Counts the queries of this process, and ends the run at its bound."""

    def __init__(self) -> None:
        self.made, self.bound = 0, Bound(0)

    def count(self) -> None:
        """Count one.

        Raises:
            pytest.exit.Exception: it is one too many.
        """
        self.made += 1
        if self.made > self.bound.queries:
            pytest.exit(f"the bound of {self.bound.queries} queries is reached", returncode=3)


_queries = Queries()


def is_over_bigquery(item: pytest.Item) -> bool:
    """Return whether a test asks BigQuery."""
    if not isinstance(item, pytest.Function):
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("engine") == "bigquery" or (
        "local_bigquery" in item.fixturenames and "engine" not in item.fixturenames
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out every test over another store."""
    gone = [item for item in items if not is_over_bigquery(item)]
    items[:] = [item for item in items if is_over_bigquery(item)]
    config.hook.pytest_deselected(items=gone)
    _queries.bound = Bound(len(items))


def pytest_configure() -> None:
    """Count the requests that make a query."""
    plain = Connection.api_request

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        if options.get("method") == "POST" and str(options.get("path", "")).endswith(("/queries", "/jobs")):
            _queries.count()
        return plain(self, *args, **options)  # type: ignore[no-untyped-call] # the library's

    Connection.api_request = counted  # type: ignore[method-assign] # for the life of this process


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much of the bound was used."""
    terminalreporter.write_line(f"queries: {_queries.made} of at most {_queries.bound.queries}")
