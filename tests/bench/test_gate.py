"""The gate: what it compares with what, and that it can fail."""

import os
import time
from collections.abc import Sequence

import pytest

from bench.gate import CASES, Costs, ratio, slower_cases
from bench.ingest.compare import FIRST, MANY
from bench.ingest.messages import Case
from bench.usage import cpu_s


class Measurements:
    """The ratios that each measurement gives, by case; `cases` notes what was measured."""

    def __init__(self, *ratios: dict[Case, float]) -> None:
        self._ratios, self.cases = list(ratios), list[Sequence[Case]]()

    async def __call__(self, cases: Sequence[Case]) -> Costs:
        """Return two pairs of the next ratio."""
        self.cases.append(cases)
        ratios = self._ratios.pop(0)
        return {case: [(80.0 * ratios[case], 80.0)] * 2 for case in cases}


async def test_what_is_slower_each_time_fails() -> None:
    """The other case is not measured again."""
    measure = Measurements({FIRST: 1.04, MANY: 1.3}, {MANY: 1.06}, {MANY: 1.2})
    assert await slower_cases(measure) == [MANY]
    assert measure.cases == [CASES, [MANY], [MANY]]


async def test_what_is_slower_only_once_passes() -> None:
    """Noise does not strike the same way twice; then the gate ends."""
    measure = Measurements({FIRST: 1.2, MANY: 1.0}, {FIRST: 1.0})
    assert await slower_cases(measure) == []
    assert measure.cases == [CASES, [FIRST]]


def test_a_ratio_is_that_of_neighbouring_rounds() -> None:
    """A machine that is slower for a while is so for both of a pair; one disturbed round changes nothing."""
    assert ratio([(55.0, 50.0), (110.0, 100.0), (220.0, 200.0), (900.0, 60.0), (50.0, 100.0)]) == pytest.approx(1.1)


def test_processor_time_is_that_of_the_kernel() -> None:
    """Not in units of 10 ms, which would be a tenth of a round."""
    before_s, process_s, after_s = time.process_time(), cpu_s(os.getpid()), time.process_time()
    assert before_s <= process_s <= after_s
