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
    first case only, and what is decided above the stores on the embedded store alone. That store has one writer, and
    drops copies as they come: it takes no part in tests whose rows are stored out of order.
    """
    seen, further = set[object](), list[pytest.Item]()
    single = [item for item in items if item.get_closest_marker(OUT_OF_ORDER) and _engine(item) == "embedded"]
    deselect(config, items, single)
    for item in items:
        if not isinstance(item, pytest.Function) or _engine(item) in {None, "embedded"}:
            continue
        is_over_bigquery = _engine(item) == "bigquery"
        if is_over_bigquery:
            item.fixturenames = ["local_bigquery", *item.fixturenames]  # of this case: the list is of all of them
        if item.get_closest_marker(ABOVE_THE_STORES) or (is_over_bigquery and item.function in seen):
            further.append(item)
        elif is_over_bigquery:
            seen.add(item.function)
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
