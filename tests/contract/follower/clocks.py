"""Time as the test tells it, and the clocks of instances, which differ."""

from app.runtime.instants import SECOND_US
from app.settings.load import Settings
from sluice.testing.clock import FakeClock
from tests.contract.stores import T0_US

# As tight as the settings may be (app/settings/load.py): with one second less, commits would be missed.
SETTINGS = Settings().replace(settle_s=22.0, append_deadline_s=10.0, late_commit_margin_s=10.0, clock_skew_s=2.0)
SETTLE_US = round(SETTINGS.store.settle_s * SECOND_US)
LATEST_COMMIT_US = round((SETTINGS.store.append_deadline_s + SETTINGS.store.late_commit_margin_s) * SECOND_US)
LOOKBACK_US = round(SETTINGS.query.dedupe_lookback_s * SECOND_US)
# No two clocks are further apart than SLUICE_CLOCK_SKEW_S, and some are exactly that.
SLOW_US, FAST_US = -SECOND_US, SECOND_US


class World:
    """The true time, which no instance knows."""

    def __init__(self) -> None:
        self.now_us = T0_US


class InstanceClock(FakeClock):
    """The clock of one instance: `skew_us` before the true time, and it stands still when that does."""

    def __init__(self, world: World, skew_us: int) -> None:
        super().__init__()
        self._world, self._skew_us = world, skew_us

    def now_us(self) -> int:
        return self._world.now_us + self._skew_us

    def elapsed_us(self) -> int:
        return self._world.now_us - T0_US
