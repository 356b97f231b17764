from collections.abc import Iterator

import pytest

from tests.stores.bigquery.rest_server import RestServer, serving


@pytest.fixture
def bigquery() -> Iterator[RestServer]:
    """Give a BigQuery REST API that a test scripts."""
    with serving() as api:
        yield api
