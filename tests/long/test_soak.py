"""The soak, for some seconds: `make soak` is the long run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.long.growth import MIB, trends
from tests.long.soak import Conditions, soak
from tests.support.instance import Resources


@pytest.mark.slow
async def test_a_short_soak_is_exact(tmp_path: Path) -> None:
    """With pauses of the process nothing is lost or doubled; memory is looked at."""
    conditions = Conditions(seed=14, seconds=8, rate=20, sample_every_s=1, stop_every_s=3)
    result = await soak(conditions, tmp_path)
    assert [each for each in result.wrong if " grows: " not in each] == [], result.text()  # too short for that
    assert result.counts["messages"]["204"] > 20
    assert result.counts["events"]["stops"]
    assert result.counts["samples"]["in all"] > 2
    assert result.counts["rows"]["followed"] > 20


def test_what_grows_is_not_flat_and_what_only_warms_up_is() -> None:
    """By the medians after the warm-up, which one burst does not move."""

    def samples(mib: Callable[[int], float]) -> list[Resources]:
        return [Resources(round(mib(at_s) * MIB), 0, 50, 20) for at_s in range(0, 1_800, 5)]

    def grows(mib: Callable[[int], float]) -> list[str]:
        return [each.name for each in trends(samples(mib)) if not each.is_flat]

    assert grows(lambda at_s: 150 + at_s / 20) == ["rss_bytes"]
    assert grows(lambda at_s: min(50 + at_s, 180) + 100 * (at_s == 1_700)) == []
