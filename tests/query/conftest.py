from collections.abc import Iterator

import pytest

from tests.query.shelf import Shelf


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
