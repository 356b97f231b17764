from collections.abc import AsyncIterator, Iterator

import pytest

from tests.stores.bigquery.rest_server import RestServer, serving
from tests.stores.bigquery.rig import Rig, rigged


@pytest.fixture
def bigquery() -> Iterator[RestServer]:
    """Give a BigQuery REST API that a test scripts."""
    with serving() as api:
        yield api


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Give a writer over one connection, and check its ledger at the end."""
    async with rigged() as rig:
        yield rig
