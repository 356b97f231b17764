from collections.abc import Iterator

import pytest

from tests.telemetry.cloud_servers import CloudServer, serving_cloud


@pytest.fixture
def cloud() -> Iterator[CloudServer]:
    """Give a Cloud Trace and Cloud Monitoring of the test's own."""
    with serving_cloud() as server:
        yield server
