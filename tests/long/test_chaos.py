"""The chaos run, short: `make chaos` is the long one."""

import pytest

from sluice.local.bigquery.provision import tables_of
from sluice.local.declared import Declared
from sluice.testing.pace import patience_s
from tests.long.chaos import INSTANCES, Chaos, Conditions
from tests.long.messages import make_plan
from tests.support.local_bigquery import Double


@pytest.mark.slow
async def test_nothing_is_lost_while_everything_goes_wrong(local_bigquery: Double) -> None:
    """Killed, terminated and lied to, two instances lose nothing that they answered, and the feed has each once."""
    place = local_bigquery.fresh(*tables_of(Declared()))
    plan = make_plan(20_261_121, 120, instances=INSTANCES, kills=2, outages=1, cuts=1)
    # Without quota refusals: each makes an instance pause for ten seconds.
    conditions = Conditions(fault_rate=0.25, max_quota=0, in_flight=100, within_s=patience_s(100))
    log: list[str] = []
    result = await Chaos(plan, place, conditions, log.append)()
    local_bigquery.drop(place)  # each table that is left makes every later query slower
    assert not result.wrong, "\n".join([result.text(), *log])
    assert result.counts["ended"]["times"] == 2
    assert result.counts["faults"]
    rows = result.counts["stored"]
    assert rows["rows of them"] > rows["records"], "no copy was ever stored: the run proves little"
