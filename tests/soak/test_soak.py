"""The soak, for some seconds: `make soak` is the long run."""

from pathlib import Path

import msgspec
import pytest

from tests.soak import report
from tests.soak.run import Conditions, Soak


@pytest.mark.slow
async def test_a_short_soak_is_exact_and_sees_inside(tmp_path: Path) -> None:
    """With faults, a pause of the process and a step of its clock, nothing is lost or doubled; figures are there."""
    conditions = Conditions(
        seed=14, seconds=18, rate=20, fault_rate=0.1, sample_every_s=1, stop_every_s=1, step_every_s=1.5, token_s=4
    )
    soaked = await Soak(conditions, tmp_path)()
    assert soaked.wrong == [], "\n".join(soaked.wrong)
    assert soaked.counts["messages"]["204"] > 20
    assert soaked.counts["events"]["stop"]
    assert soaked.counts["events"]["step"]
    assert len(soaked.samples) > 2
    last = soaked.samples[-1]
    assert last.inside.tasks > 5
    assert last.inside.duckdb
    assert last.outside.threads > 5
    assert "rss_bytes: " in report.summary(soaked)
    assert msgspec.json.decode(report.document(soaked))["counts"]["rows"]["followed"] > 20
