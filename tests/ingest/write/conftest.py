import pytest

from tests.ingest.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """Give a writer over a scripted Appender that stores everything."""
    return Bench()
