"""A horizon that stands still until it is learned: each way to read asks for it, and only where it may matter."""

import pytest

from app.stores.source import QueryRunner
from tests.contract.service import SINCE, WINDOW, Service
from tests.contract.stores import T0_US, Engine
from tests.contract.watched import Watched

pytestmark = pytest.mark.above_the_stores
BEFORE = "since=2023-11-14T22:13:10Z&until=2023-11-14T22:13:20Z"


class _Learning(Watched):
    """A runner whose horizon is T0 until `learns` says how much later it is."""

    def __init__(self, runner: QueryRunner) -> None:
        super().__init__(runner)
        self.learns, self.learned, self.asked = 0, 0, 0
        self.learn_horizon = self._learn

    async def _learn(self) -> int:
        self.asked += 1
        self.learned = self.learns
        return 0

    def horizon_us(self, table: str) -> int:
        del table
        return T0_US + self.learned

    def version(self, table: str) -> None:
        """Say nothing of new rows, as where a horizon has to be learned."""


@pytest.fixture
def runner(service: Service) -> _Learning:
    """Give the runner over three settled records."""
    return _Learning(service.store.runner)


@pytest.fixture
def learning(engine: Engine, service: Service, runner: _Learning) -> Service:
    """Give the service over it."""
    return Service(engine, service.store, runner=runner)


def test_a_page_reads_up_to_the_learned_horizon(learning: Service, runner: _Learning) -> None:
    """Its window says so, and its cursor goes on from there."""
    first = learning.client().get(f"/v1/records?since={SINCE}").json()
    assert (first["records"], runner.asked) == ([], 1)
    runner.learns = 100
    page = learning.client().get("/v1/records", params={"cursor": first["resume_cursor"]}).json()
    assert len(page["records"]) == 3
    assert page["window"]["until"] == "2023-11-14T22:13:20.000100Z"
    assert runner.asked == 2


def test_a_window_that_is_settled_needs_no_learning(learning: Service, runner: _Learning) -> None:
    """It would be a query for nothing."""
    runner.learns = 100
    learning.client().get(f"/v1/records?since={SINCE}")
    asked = runner.asked
    assert learning.client().get("/v1/records", params=WINDOW).json()["records"]
    assert learning.client().get(f"/v1/records?{BEFORE}").status_code == 200
    assert runner.asked == asked
