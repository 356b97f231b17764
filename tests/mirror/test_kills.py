"""The run of kills, short: `python -m tests.long mirror` is the long one."""

from pathlib import Path

import pytest

from tests.long.mirror import Conditions, mirrored


@pytest.mark.slow
async def test_mirrors_have_what_their_source_has_after_kills(tmp_path: Path) -> None:
    """All three are killed while the mirrors catch up and follow, and records are erased meanwhile."""
    conditions = Conditions(seed=20_261_125, mirror_kills=3, source_kills=1, records_before=4_000)
    result = await mirrored(conditions, tmp_path)
    assert not result.wrong, result.text()
    assert result.counts["sent"]["erasures"] > 3, "hardly anything was erased: the run proves little"
