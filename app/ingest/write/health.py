"""The health of one table of the store: its named state, the pause after trouble, and whether it answers at all."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from app.ingest.verdict import Throttled, Unavailable
from app.ingest.write.retry_policy import Trip, trip_for
from app.runtime.circuit_breaker import CircuitBreaker, CircuitState
from app.runtime.clock import MICROSECONDS, Clock
from app.stores.sink import ColumnsPending, SetupError, SinkState, Stored, TableCheck
from app.telemetry.logs import QUOTES_NAMES

LOOK_AGAIN_S = 30.0
DISK_AGAIN_S = 2.0  # a disk check costs almost nothing, and space may be freed or the file put back at any moment
_log = logging.getLogger("sluice.writer")
_AGREEING, _AGREEING_FOR_US = 3, 5_000_000
"""How many messages are refused alone, and for how long if other appends are in flight, before the table trips."""
# States that a table check can clear. Only an append shows that writing is forbidden or over quota.
_SEEN_ON_THE_TABLE = {SinkState.NOT_FOUND, SinkState.SCHEMA_MISMATCH}
_TAKES_ROWS = {SinkState.ACTIVE, SinkState.COLUMNS_PENDING}
_ON_THE_DISK = {SinkState.DISK_FULL, SinkState.FILE_MISSING}
_QUOTES_NAMES = _SEEN_ON_THE_TABLE | {SinkState.PERMISSION_DENIED, SinkState.COLUMNS_PENDING, SinkState.FILE_MISSING}


class SinkHealth:
    """The health of a table, from its appends and from checks of it.

    `state` and `detail` are for health and metrics; `since_us` is when the state began (microseconds, wall clock).
    `circuit` is open during a pause, and its trips make pauses longer.
    """

    def __init__(self, table: str, clock: Clock) -> None:
        self._table, self._clock = table, clock
        self.state = SinkState.ACTIVE
        self.detail = ""
        self.since_us = clock.now_us()
        self.circuit = CircuitBreaker(clock.elapsed_us)
        self.is_checked = False
        """Whether a check of the table has ended, with whatever result."""
        self._refused: set[str] = set()
        """Messages that were refused alone, without a row being named, since a row was stored; no more than matter."""
        self._refused_since_us = 0
        self.troubled = asyncio.Event()
        """Set while the state is not ACTIVE."""
        self._lack = ""
        """Which columns the table lacks; "" if it lacks none."""
        self._by_check = self._was_quiet = False
        self._verdict: Unavailable | Throttled | None = None
        """That of the last trip."""

    @property
    def takes_rows(self) -> bool:
        """Whether the table takes rows, if perhaps not all of them."""
        return self.state in _TAKES_ROWS

    def pause(self) -> Unavailable | Throttled | None:
        """Return the verdict for all messages during a pause, with the time left; None if there is no pause."""
        if self._verdict is None or not (left_s := self.circuit.remaining_s):
            return None
        return msgspec.structs.replace(self._verdict, retry_after_s=left_s)

    def trip(self, trip: Trip) -> Unavailable | Throttled:
        """Begin a pause, as long as the verdict says; return the verdict for all messages.

        During a pause another trip changes nothing, since all appends in flight run into the same trouble.
        """
        if (running := self.pause()) is not None:
            return running
        self.trouble(trip.state, trip.detail)
        self.circuit.trip(trip.verdict.retry_after_s)
        self._verdict = trip.verdict
        # After the pause, appends of other messages have time to show that the table takes rows.
        self._refused_since_us = self._clock.elapsed_us() + round(trip.verdict.retry_after_s * MICROSECONDS)
        return trip.verdict

    def trouble(self, state: SinkState, detail: str) -> None:
        """Record a state that is not ACTIVE."""
        if self.state is not state:
            extra = QUOTES_NAMES if state in _QUOTES_NAMES else None
            _log.warning("table %s: %s: %s", self._table, state.value, detail, extra=extra)
            self.since_us = self._clock.now_us()
        self.state, self.detail = state, detail
        self._by_check = self._was_quiet = False
        self.troubled.set()

    def notice_clock(self) -> None:
        """Note trouble with this instance's clock before any message meets it."""
        if self.takes_rows and (trouble := self._clock.trouble()):
            self.trouble(SinkState.CLOCK_WRONG, trouble)

    def uncertain(self, detail: str, failures: int) -> None:
        """Record an append without an answer, the `failures`-th in a row for the same rows.

        Only the second failure counts: stores close connections as a matter of course, and the rows are sent again.
        """
        if failures > 1:
            self.trouble(SinkState.UNREACHABLE, detail)

    def recover(self) -> None:
        """Return to ACTIVE after a good answer from the store, unless a pause has begun since.

        A table that lacks columns returns to COLUMNS_PENDING: an append of other rows does not show that they came.
        """
        if self.circuit.state is CircuitState.OPEN or self.state is SinkState.ACTIVE:
            return
        if self._lack:
            if self.state is not SinkState.COLUMNS_PENDING:
                self.circuit.close()
            self.trouble(SinkState.COLUMNS_PENDING, self._lack)
            return
        _log.warning("table %s: ACTIVE, after %s", self._table, self.state.value)
        self.state, self.detail = SinkState.ACTIVE, ""
        self.circuit.close()
        self.since_us = self._clock.now_us()
        self.troubled.clear()

    def lack(self, detail: str) -> None:
        """Record that the table lacks columns; `detail` names them. It takes rows that use none of them."""
        self._lack = detail
        if self.takes_rows:
            self.trouble(SinkState.COLUMNS_PENDING, detail)

    def stored(self) -> None:
        """Record that rows were stored: the table does not refuse every message."""
        self._refused.clear()
        self.recover()

    def refused(self, key: str) -> None:
        """Record that a message was refused alone, without a row being named."""
        if not self._refused:
            self._refused_since_us = self._clock.elapsed_us()
        if len(self._refused) < _AGREEING:
            self._refused.add(key)

    @property
    def is_doubtful(self) -> bool:
        """Whether different messages were refused alone, and nothing was stored since."""
        return len(self._refused) >= _AGREEING

    def refuses_all(self, *, idle: bool) -> bool:
        """Return whether the table refuses every message. `idle`: no other append could still show the contrary."""
        return self.is_doubtful and (idle or self._clock.elapsed_us() - self._refused_since_us >= _AGREEING_FOR_US)

    def record_check(self, obstacle: TableCheck, *, idle: bool) -> Trip | None:
        """Record the result of a table check; return the trip that follows. `idle`: nothing waits or is in flight.

        A clean check clears a state that an earlier check set. If an append set it, a clean check lifts only the pause,
        and only for a state that checks can see. The state clears with the next stored row, or after two clean checks
        without traffic. A check that has written a row (Stored) clears both. A lack of columns is a clean check.
        CLOCK_WRONG is not cleared while the clock is still wrong.
        """
        self.is_checked = True
        if isinstance(obstacle, SetupError):
            return self._obstructed(obstacle)
        if self._clock.trouble():
            self.notice_clock()
            return None
        self._lack = obstacle.detail if isinstance(obstacle, ColumnsPending) else ""
        if self._lack:
            self.lack(self._lack)
        elif self.state is SinkState.COLUMNS_PENDING:
            self.recover()
        if self._by_check or isinstance(obstacle, Stored):
            self.circuit.half_open()
            self.recover()
        elif self.pause() is None and idle:
            if self._was_quiet:
                self.recover()
            self._was_quiet = True
        elif self.state in _SEEN_ON_THE_TABLE:
            self.circuit.half_open()
        return None

    def _obstructed(self, obstacle: SetupError) -> Trip | None:
        if obstacle.state not in {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}:
            trip = trip_for(obstacle, self.circuit.trips)
            self.trip(trip)
            self._by_check = True
            return trip
        if self.state is SinkState.ACTIVE:  # the trouble is the check's, not that of appends
            self.trouble(obstacle.state, obstacle.detail)
            self._by_check = True
        return None


def again_s(state: SinkState) -> float:
    """Return after how many seconds a table in this state is checked again."""
    return DISK_AGAIN_S if state in _ON_THE_DISK else LOOK_AGAIN_S


class StallWatchdog:
    """Detects a stalled writer: for `limit_s` seconds messages wait, and no append gets a definite answer.

    A definite answer is any outcome but Uncertain. Gaps of up to half of `limit_s` between two waits do not count: so
    one message a minute, abandoned after half of it, shows an outage as well as a thousand a second do, and one failed
    message and the silence after it do not. A pause is no stall, since it refuses messages at once.
    """

    def __init__(self, elapsed_us: Callable[[], int], limit_s: float) -> None:
        self._elapsed_us, self._limit_us, self._waiting = elapsed_us, round(limit_s * MICROSECONDS), 0
        self._since_us: int | None = None  # start of the first wait since the last definite answer
        self._ended_us = 0  # when the last wait ended

    def begin(self, now_us: int) -> None:
        """Record that a message begins to wait."""
        if self._since_us is None or self._is_over(now_us):
            self._since_us = now_us
        self._waiting += 1

    def end(self) -> None:
        """Record that a message no longer waits, whatever its verdict."""
        self._waiting -= 1
        self._ended_us = self._elapsed_us()

    def answered(self) -> None:
        """Record that an append got a definite answer."""
        self._since_us = None

    @property
    def stuck_s(self) -> float | None:
        """How long messages have waited without an answer, in seconds, if that is too long; else None."""
        now_us = self._elapsed_us()
        if self._since_us is None or now_us - self._since_us < self._limit_us or self._is_over(now_us):
            return None
        return (now_us - self._since_us) / MICROSECONDS

    def _is_over(self, now_us: int) -> bool:
        """Whether the last wait ended so long ago that the next one starts a new period."""
        return not self._waiting and now_us - self._ended_us > self._limit_us // 2
