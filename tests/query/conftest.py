from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.contract.fixtures import client, service, shared_store, shelf, store  # noqa: F401 - fixtures
from tests.query.tail_stage import Stage

if TYPE_CHECKING:
    from tests.contract.stores import EmbeddedEngine


@pytest.fixture
def stage() -> Stage:
    """Give a tail over rows that a test stores."""
    return Stage()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator["EmbeddedEngine"]:
    """Give the store that is always at hand: these tests are not about it."""
    from tests.contract.stores import EmbeddedEngine  # noqa: PLC0415 - only for the tests that need it

    engine = EmbeddedEngine(tmp_path_factory.mktemp("stores"))
    yield engine
    engine.loop.close()
