from collections.abc import Iterator

import pytest

from tests.contract.bigquery import BigQueryEngine
from tests.contract.fixtures import client, released, service, shared_store, shelf, store  # noqa: F401 - fixtures
from tests.contract.memory import MemoryEngine
from tests.contract.stores import EmbeddedEngine, Engine
from tests.contract.windowed import WindowedEngine
from tests.long_form import IS_LONG, deselect

ABOVE_THE_STORES = "above_the_stores"
OUT_OF_ORDER = "stamped_out_of_order"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests over BigQuery and say that they need it: what is asked for by name only, pytest does not see.

    A query takes a tenth of a second of processor time there. So the short form tries each test on BigQuery with its
    first case, and all cases on DuckDB. What is decided above the stores it tries on DuckDB: a test that is marked so,
    and all but the first of a file that is; and behind a window, not on the lists without one. The embedded store has
    one writer, and drops copies as they come: it takes no part in tests whose rows are stored out of order.
    """
    seen, further = set[object](), list[pytest.Item]()
    single = [item for item in items if item.get_closest_marker(OUT_OF_ORDER) and _engine(item) == "embedded"]
    deselect(config, items, single)
    for item in items:
        if _engine(item) == "memory" and item.get_closest_marker(ABOVE_THE_STORES):
            further.append(item)
        if isinstance(item, pytest.Function) and _engine(item) == "bigquery":
            item.fixturenames.insert(0, "local_bigquery")
            subject = item.module if item.get_closest_marker(ABOVE_THE_STORES) else item.function
            if subject in seen or any(mark.name == ABOVE_THE_STORES for mark in item.own_markers):
                further.append(item)
            seen.add(subject)
    if not IS_LONG:
        deselect(config, items, further)


def _engine(item: pytest.Item) -> object:
    return item.callspec.params.get("engine") if hasattr(item, "callspec") else None


@pytest.fixture(scope="session", params=["embedded", "memory", "windowed", "bigquery"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give each kind of store in turn."""
    found: Engine
    match request.param:
        case "embedded":
            found = EmbeddedEngine(tmp_path_factory.mktemp("stores"))
        case "memory":
            found = MemoryEngine()
        case "windowed":
            found = WindowedEngine()
        case _:
            found = BigQueryEngine(request.getfixturevalue("local_bigquery"))
    yield found
    found.loop.close()
