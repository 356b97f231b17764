"""The gate: what it compares with what, and that it can fail."""

from collections.abc import Sequence

from bench.gate import CASES, Costs, slower_cases
from bench.ingest.compare import FIRST, MANY
from bench.ingest.messages import Case


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
