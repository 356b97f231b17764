"""What tests over an `engine` share; a conftest that imports these says which backends there are.

The application is imported with the first fixture: tests that need none are collected in half the time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.service import Client, Service
    from tests.contract.shelf import Shelf
    from tests.contract.stores import Engine, Store


@pytest.fixture(scope="session")
def shared_store(engine: "Engine") -> Iterator["Store"]:
    """Give one store of the default record to many tests: they clear it."""
    from tests.contract.stores import RECORDS, REJECTS  # noqa: PLC0415 - see above

    store = engine.loop.run(engine.open([RECORDS, REJECTS]))
    yield store
    engine.loop.run(store.close())


@pytest.fixture(autouse=True)
def released(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove the stores that a test was given settings of."""
    yield
    if "engine" in request.fixturenames:
        engine: Engine = request.getfixturevalue("engine")
        engine.release()


@pytest.fixture
def store(engine: "Engine", shared_store: "Store") -> "Store":
    """Give an empty store of the default record."""
    engine.loop.run(shared_store.clear())
    return shared_store


@pytest.fixture
def shelf(engine: "Engine", store: "Store") -> "Shelf":
    """Give an empty store of the default record and its feed."""
    from tests.contract.shelf import Shelf  # noqa: PLC0415 - see above

    return Shelf(engine, store)


@pytest.fixture
def service(engine: "Engine", store: "Store") -> "Service":
    """Give three settled records, ten microseconds apart."""
    from tests.contract.service import Service  # noqa: PLC0415 - see above
    from tests.contract.stores import T0_US  # noqa: PLC0415 - see above

    service = Service(engine, store)
    service.put_records((T0_US + 10 * number, f"k{number}", f"id{number}") for number in range(3))
    service.settle(T0_US + 100)
    return service


@pytest.fixture
def client(service: "Service") -> "Client":
    """Give a client of the application."""
    return service.client()
