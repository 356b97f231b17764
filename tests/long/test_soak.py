"""The soak, for some seconds: `make soak` is the long run."""

from pathlib import Path

import pytest

from tests.long.soak import Conditions, soak


@pytest.mark.slow
async def test_a_short_soak_is_exact(tmp_path: Path) -> None:
    """With pauses of the process and keys that change, nothing is lost or doubled; memory is looked at."""
    conditions = Conditions(seed=14, seconds=18, rate=20, sample_every_s=1, stop_every_s=3, token_s=4)
    result = await soak(conditions, tmp_path)
    assert result.wrong == [], result.text()
    assert result.counts["messages"]["204"] > 20
    assert result.counts["events"]["stops"]
    assert result.counts["samples"]["in all"] > 2
    assert result.counts["rows"]["followed"] > 20
