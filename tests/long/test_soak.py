"""The soak, for some seconds: `make soak` is the long run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.long.growth import MIB, trends
from tests.long.soak import Conditions, soak
from tests.long_form import long
from tests.support.instance import Resources


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"seconds": 10, "kill_every_s": 2}, marks=pytest.mark.slow, id="kills"),
        pytest.param({"seconds": 18, "stop_every_s": 3}, marks=long, id="pauses"),
    ],
)
async def test_a_short_soak_is_exact(tmp_path: Path, how: dict[str, float]) -> None:
    """Killed or paused under load, the service has every message that was answered, each once; exports are whole."""
    result = await soak(Conditions(seed=14, rate=20, sample_every_s=1, **how), tmp_path)
    assert result.wrong == [], result.text()
    assert result.counts["messages"]["204"] > 20
    assert max(result.counts["events"].values()) >= 2
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
