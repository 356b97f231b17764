"""The fixture `local_bigquery`: one local-bigquery a session, started when a test first asks for it.

A test makes a dataset of its own with `local_bigquery.fresh(*tables)`. Where there is no Python that local-bigquery
runs on, such tests are skipped and the summary says so; with REQUIRE_LOCAL_BIGQUERY set, as the CI does, they fail.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sluice.local.bigquery.errors import LocalBigQueryError, NoPythonError

if TYPE_CHECKING:
    from tests.support.local_bigquery import Double

PLACE, RUN = "TEST_BIGQUERY_PLACE", "TEST_BIGQUERY_RUN"
"""Set by `make test-cloud`: a project to use instead, and the name of the run."""
REQUIRED = "REQUIRE_LOCAL_BIGQUERY"


class Preparation:
    """Installs local-bigquery before the first test runs: that may take longer than a test may."""

    def __init__(self) -> None:
        self.trouble: LocalBigQueryError | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Install it if a test that was collected asks for it."""
        asking = any("local_bigquery" in getattr(item, "fixturenames", ()) for item in session.items)
        if not asking or session.config.option.collectonly or PLACE in os.environ:
            return
        from sluice.local.bigquery.install import install  # noqa: PLC0415 - only for the tests that need it

        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        try:
            install(lambda text: reporter.write_line(text) if reporter else None)
        except LocalBigQueryError as error:
            self.trouble = error


PREPARATION = "local-bigquery-preparation"


@pytest.fixture(scope="session")
def local_bigquery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Double"]:
    """Run a local-bigquery until the session ends, however it ends."""
    if PLACE in os.environ:
        yield _throwaway()
        return
    preparation = request.config.pluginmanager.get_plugin(PREPARATION)
    assert isinstance(preparation, Preparation)
    give_up_over(preparation.trouble, required=bool(os.environ.get(REQUIRED)))
    from tests.support.local_bigquery import running  # noqa: PLC0415 - only for the tests that need it

    with running(tmp_path_factory.mktemp("local-bigquery")) as double:
        double.drop(double.place)  # every table makes every query slower, and each test has its own
        yield double


def _throwaway() -> "Double":
    import msgspec  # noqa: PLC0415 - as above

    from app.stores.bigquery.client import TableAddress  # noqa: PLC0415 - as above
    from tests.support.throwaway import Throwaway  # noqa: PLC0415 - as above

    return Throwaway(msgspec.json.decode(os.environ[PLACE], type=TableAddress), os.environ[RUN])


def give_up_over(trouble: LocalBigQueryError | None, *, required: bool) -> None:
    """Skip the test where there is no Python for it, unless it is required; fail it over any other trouble."""
    if isinstance(trouble, NoPythonError) and not required:
        pytest.skip(f"NOT tested here: what needs a BigQuery. {trouble}")
    if trouble is not None:
        pytest.fail(str(trouble), pytrace=False)
