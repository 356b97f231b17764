"""What a run is played on: a store, two instances that read it, and the time."""

from datetime import UTC, datetime

from app.record import Record
from app.runtime.instants import SECOND_US
from tests.contract.follower.clocks import FAST_US, LATEST_COMMIT_US, SETTINGS, SETTLE_US, SLOW_US, InstanceClock, World
from tests.contract.follower.instances import Instances, settling_runner
from tests.contract.follower.writers import Commit, Writers
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, T0_US, Engine, Store
from tests.encoding import encoded


class Stage:
    """A store whose rows come with chosen stamps at chosen times, before instances of which one's clock is fast."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = engine, store
        self.world = World()
        self.writers = Writers(self.world)
        brief = SETTINGS.replace(max_page_bytes=150)  # its pages may end before they are full
        clocks = [InstanceClock(self.world, skew_us) for skew_us in (SLOW_US, FAST_US)]
        self._runners = [settling_runner(store, clock) for clock in clocks]
        parts = [*zip(self._runners, clocks, (brief, SETTINGS), strict=True)]
        self.instances = Instances(engine.loop, parts)

    def begin(self) -> None:
        """Empty the store and set the time back."""
        self._engine.loop.run(self._store.clear())
        self.instances.forget()
        self.world.now_us = T0_US + SECOND_US  # so that no writer's clock is before T0_US
        self.writers = Writers(self.world)

    def advance(self, until_us: int, *, inclusive: bool = False) -> None:
        """Move time on, and store what is committed meanwhile."""
        arrived = self.writers.arrive(until_us, inclusive=inclusive)
        if arrived:
            rows = [(commit.place.ingest_us, self._row(commit)) for commit in arrived]
            self._engine.loop.run(self._store.put(RECORDS, rows))

    def settle(self) -> None:
        """Move time on until everything is committed and final."""
        self.advance(self.world.now_us + LATEST_COMMIT_US, inclusive=True)
        self.advance(self.world.now_us + SETTLE_US + 2 * SECOND_US)

    def close(self) -> None:
        """End the runners' threads; the store belongs to others."""
        for runner in self._runners:
            runner.close()

    def _row(self, commit: Commit) -> bytes:
        key = commit.place.delivery_key
        record = Record(id=key, timestamp=datetime(2026, 1, 1, tzinfo=UTC), source=commit.source)
        return encoded(self._store.appender(RECORDS), record, envelope(key))
