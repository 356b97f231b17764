"""Places: so many in all, and never all of them for one caller."""

import pytest

from app.http.problems import ProblemError
from app.query.answer.tail_limit import TailLimit


def taken(places: TailLimit, caller: str, count: int) -> None:
    """Take places."""
    for _ in range(count):
        places.take(caller)


@pytest.mark.parametrize(("most", "share"), [(1, 1), (2, 2), (3, 3), (4, 3), (100, 75)])
def test_one_caller_has_three_quarters_at_most(most: int, share: int) -> None:
    """Of few places it may have all: there is nothing to keep for others."""
    places = TailLimit(most)
    taken(places, "a", share)
    with pytest.raises(ProblemError) as refused:
        places.take("a")
    assert refused.value.members == {"max_tails": most, "retry_after_s": 10}
    assert ("a has 3 tails" in refused.value.detail) == (most == 4)
    if share < most:
        taken(places, "b", most - share)
    with pytest.raises(ProblemError, match="the most that this instance serves"):
        places.take("c")


def test_a_place_that_is_given_back_is_free() -> None:
    """For whoever asks next."""
    places = TailLimit(4)
    taken(places, "a", 3)
    places.give_back("a")
    places.take("a")
    places.take("b")
    with pytest.raises(ProblemError):
        places.take("b")
