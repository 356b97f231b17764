from tests.contract.fixtures import shared_store, shelf, store  # noqa: F401 - fixtures
from tests.query.conftest import engine  # noqa: F401 - a fixture
