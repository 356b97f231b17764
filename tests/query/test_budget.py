"""What one request may cost."""

import pytest

from app.query.read.feed import Budget
from app.settings.load import Settings
from app.stores.source import Answer
from sluice.testing.clock import FakeClock
from tests.support.unwatched import environment_of


def budget(clock: FakeClock | None = None) -> Budget:
    """Return a budget of ten seconds, a thousand bytes read and a hundred answered."""
    settings = Settings().replace(page_budget_s=10, query_max_bytes_billed=1_000, max_page_bytes=100)
    return Budget(environment_of(clock or FakeClock(), settings))


@pytest.mark.parametrize(
    ("answer", "used_up"),
    [
        (Answer([], bytes_processed=999, fetched_bytes=99), False),
        (Answer([], bytes_processed=1_000), True),
        (Answer([], fetched_bytes=100), True),
        (Answer([], bytes_processed=None), False),
    ],
)
def test_it_is_used_up_by_what_queries_took(answer: Answer, *, used_up: bool) -> None:
    """By bytes read or by bytes answered."""
    spent = budget()
    spent.spend(answer)
    assert spent.is_used_up is used_up


async def test_it_is_used_up_by_time() -> None:
    """By the clock that keeps its pace."""
    clock = FakeClock()
    spent = budget(clock)
    await clock.advance(9.9)
    assert not spent.is_used_up
    await clock.advance(0.1)
    assert spent.is_used_up


def test_what_several_queries_took_is_added_up() -> None:
    """A store that does not say how much it read leaves it unknown, and not zero."""
    spent = budget()
    spent.spend(Answer([], fetched_bytes=30))
    assert (spent.bytes_processed, spent.page_bytes_left) == (None, 70)
    for _ in range(2):
        spent.spend(Answer([], bytes_processed=400, fetched_bytes=30))
    assert (spent.bytes_processed, spent.page_bytes_left, spent.is_used_up) == (800, 10, False)
