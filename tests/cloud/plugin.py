"""pytest's part of `make test-cloud` (`-p tests.cloud.plugin`): the tests over BigQuery, and no more than the bound."""

import json
import os
from collections import Counter
from typing import Any

import pytest
from google.cloud.bigquery._http import Connection

from tests.cloud.bound import Bound
from tests.support.process import ROOT

RECORD = ROOT / "data" / "cloud" / "bytes-billed.json"


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


class BytesBilled:
    """What BigQuery says that each query was billed, with the test that made it."""

    def __init__(self) -> None:
        self._queries: dict[str, tuple[str, int]] = {}

    def note(self, response: dict[str, Any], test: str) -> None:
        """Read a response: of jobs.query, or a job that has ended. A later one of the same query counts instead."""
        query = response.get("queryId") or response.get("jobReference", {}).get("jobId")
        statistics = response.get("statistics", {}).get("query", {})
        billed = response.get("totalBytesBilled", statistics.get("totalBytesBilled"))
        if query and billed is not None:
            self._queries[query] = test, int(billed)

    def by_test(self) -> dict[str, int]:
        """Return the bytes of each test, the most expensive first."""
        sums = Counter[str]()
        for test, billed in self._queries.values():
            sums[test] += billed
        return dict(sums.most_common())

    def line(self) -> str:
        """Return the sum for a person."""
        return f"bytes billed: {sum(self.by_test().values()):,}, as {len(self._queries)} queries say"


_queries = Queries()
_billed = BytesBilled()


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
    """Count the requests that make a query, and note what each is billed."""
    plain = Connection.api_request

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        if options.get("method") == "POST" and str(options.get("path", "")).endswith(("/queries", "/jobs")):
            _queries.count()
        response = plain(self, *args, **options)  # type: ignore[no-untyped-call] # the library's
        if isinstance(response, dict):
            _billed.note(response, os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0])
        return response

    Connection.api_request = counted  # type: ignore[method-assign] # for the life of this process


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much of the bound was used, and record what was billed."""
    terminalreporter.write_line(f"queries: {_queries.made} of at most {_queries.bound.queries}")
    terminalreporter.write_line(_billed.line())
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(_billed.by_test(), indent=2) + "\n")
