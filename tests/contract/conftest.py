from collections.abc import Iterator

import pytest

from tests.contract.bigquery import BigQueryEngine
from tests.contract.fixtures import client, released, service, shared_store, shelf, store  # noqa: F401 - fixtures
from tests.contract.stores import EmbeddedEngine, Engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which of these tests need local-bigquery: one that is asked for by name only, pytest does not see."""
    for item in items:
        if isinstance(item, pytest.Function) and _parameters(item).get("engine") == "bigquery":
            item.fixturenames.insert(0, "local_bigquery")


def _parameters(item: pytest.Function) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.fixture(scope="session", params=["embedded", "bigquery"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give each kind of store in turn."""
    found: Engine
    if request.param == "embedded":
        found = EmbeddedEngine(tmp_path_factory.mktemp("stores"))
    else:
        found = BigQueryEngine(request.getfixturevalue("local_bigquery"))
    yield found
    found.loop.close()
