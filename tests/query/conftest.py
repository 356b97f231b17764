from collections.abc import Iterator

import pytest
from hypothesis import settings
from litestar.testing import TestClient

from tests.query.service import Client, Service
from tests.query.shelf import T0_US, Shelf

# The machine that runs the tests may be busy: a slow example is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="module")
def shared_shelf() -> Iterator[Shelf]:
    """Give one store to all examples of a property: they clear it."""
    shelf = Shelf()
    yield shelf
    shelf.close()


@pytest.fixture
def shelf(shared_shelf: Shelf) -> Shelf:
    """Give an empty store."""
    shared_shelf.clear()
    return shared_shelf


@pytest.fixture
def service() -> Iterator[Service]:
    """Give three records, ten microseconds apart."""
    service = Service()
    for number in range(3):
        service.put_record(T0_US + 10 * number, f"k{number}", f"id{number}")
    service.clock.advance_to(T0_US + 100)
    yield service
    service.store.close()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """Give a client of the application."""
    with TestClient(service.app) as client:
        yield client
