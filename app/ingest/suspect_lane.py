"""The lane for suspects: each message is appended alone, one append at a time, while all others continue as usual.

app.ingest.suspects decides what follows a refusal. Suspects alternate append by append, so none waits for another to
finish. Each ends at its message's deadline, and is remembered for the next delivery.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from app.ingest.appends import GIVEN_UP, Appends
from app.ingest.pending import Pending, PendingRow, halves, refused_of, rows_of, slots_of
from app.ingest.repairs import Repairs
from app.ingest.retry_policy import Bisect, Complete, Isolate, Postpone, RejectRows, Repair, Retry, Trip, trip_for
from app.ingest.suspects import (
    AGREEING,
    AGREEING_AT_ONCE,
    AGREEING_FOR_US,
    ALONE_REFUSALS,
    HIGH_DELIVERY_ATTEMPT,
    Case,
    Compare,
    Evidence,
    RejectRest,
    Repeat,
    Suspects,
    is_spent,
    suspect_step,
)
from app.ingest.verdict import Durable, Unavailable, Verdict
from app.stores.sink import Outcome, RowError, RowsRefused, SetupError, SinkState, Uncertain

_log = logging.getLogger("sluice.writer")
_PLACES = 4
"""A message suspected only for its number of deliveries joins while fewer suspects than this are in the lane."""
_UNCLEAR = Unavailable(
    "the store refused the message without a reason, and has stored no other message since to compare it with", 10.0
)
_CANNOT_LOOK = {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}


class _Suspect:
    """One part of a message in the lane. `stored_before`: the table's count of stored appends when it was refused."""

    def __init__(self, pending: Pending, slots: Sequence[PendingRow], case: Case, stored_before: int) -> None:
        self.pending, self.case, self.stored_before = pending, case, stored_before
        self.groups: list[tuple[Sequence[PendingRow], Outcome | None]] = [(slots, None)]
        """Rows to append, next group last. A group with an outcome was refused, and must be judged again."""
        self.row_count, self.failures = len(slots), 0
        self.has_stored = False

    @property
    def key(self) -> str:
        """The message's key, or a unique substitute if it has none."""
        return self.pending.key or f"part {id(self.pending)}"

    @property
    def is_untried(self) -> bool:
        """Whether some of its rows have not been appended yet, and still may be."""
        return not is_spent(self.case, self.row_count) and any(outcome is None for _, outcome in self.groups)

    def next_group(self) -> tuple[Sequence[PendingRow], Outcome | None]:
        """Return the rows to append or judge next; none at the end."""
        return self.groups.pop() if self.groups else ((), None)


class SuspectLane:
    """The suspects of one table. `others` says whether batches are in flight; `trip` opens the circuit."""

    def __init__(
        self, appends: Appends, repairs: Repairs, others: Callable[[], bool], trip: Callable[[Trip], Verdict]
    ) -> None:
        self._appends, self._repairs, self._others, self._trip = appends, repairs, others, trip
        self._health, self._clock = appends.health, appends.clock
        self.cases = Suspects()
        self._turn = asyncio.Lock()  # first come, first served
        self._size = self._comparing = 0
        self._waiting: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """Return how many parts of messages are in the lane."""
        return self._size

    def wants(self, key: str, delivery_attempt: int) -> bool:
        """Return whether an arriving message goes straight to the lane."""
        if key in self.cases.by_key:
            return True
        return delivery_attempt >= HIGH_DELIVERY_ATTEMPT and self._size < _PLACES

    def add(
        self,
        pending: Pending,
        slots: Sequence[PendingRow] = (),
        refusal: RowsRefused | None = None,
        stored_before: int | None = None,
    ) -> None:
        """Append these refused rows of `pending` alone, or all its rows if none are given.

        `refusal` is the outcome of an earlier append of exactly these rows. `stored_before` is the number of appends
        that the table had stored when an append with any of them was first refused.
        """
        before = self._health.appends_stored if stored_before is None else stored_before
        case = self.cases.find(pending.key, self._clock.elapsed_us())
        suspect = _Suspect(pending, slots or slots_of([pending]), case, before)
        if slots:
            self._note_refusal(suspect)
        self._size += 1
        self._appends.spawn(self._run(suspect, refusal))

    def wake(self) -> None:
        """Wake the suspects that wait for other messages: something was stored, or an append has ended."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _run(self, suspect: _Suspect, outcome: Outcome | None) -> None:
        try:
            slots, _ = suspect.next_group()
            while slots:
                if outcome is None:
                    outcome = await self._append(suspect, slots)
                    if isinstance(outcome, RowsRefused):
                        self._note_refusal(suspect)
                if outcome is None:
                    return
                slots, outcome = await self._after(suspect, slots, outcome)
        except asyncio.CancelledError:
            suspect.pending.fail(GIVEN_UP)
            raise
        except Exception:
            _log.exception("a suspect message failed unexpectedly")
            suspect.pending.fail(GIVEN_UP)
        finally:
            self._size -= 1
            self.wake()

    async def _append(self, suspect: _Suspect, slots: Sequence[PendingRow]) -> Outcome | None:
        """Append rows when it is their turn; return None if their message was abandoned by then."""
        async with self._turn:
            if not self._appends.still_wanted([suspect.pending]):
                return None
            return await self._appends.attempt(rows_of(slots), [suspect.pending])

    def _note_refusal(self, suspect: _Suspect) -> None:
        suspect.case.refusals += 1
        self.cases.remember(suspect.pending.key, suspect.case, self._clock.elapsed_us())

    async def _after(  # noqa: C901, PLR0911 - one branch and one return for each step
        self, suspect: _Suspect, slots: Sequence[PendingRow], outcome: Outcome
    ) -> tuple[Sequence[PendingRow], Outcome | None]:
        """Return the rows to append next, with the outcome if it is already known."""
        counted = suspect.failures if isinstance(outcome, Uncertain) else self._health.circuit.trips
        step = suspect_step(
            outcome,
            len(slots),
            suspect.row_count,
            counted,
            suspect.case,
            Evidence(self._table_stores(suspect), suspect.has_stored),
        )
        match step:
            case Complete():
                self._settle(suspect, slots)
            case Repair():
                self._repairs.begin(slots)
            case RejectRows(errors):
                self._appends.reject(refused_of(slots, errors))
                rest = [slot for position, slot in enumerate(slots) if position not in errors]
                return (rest, None) if rest else suspect.next_group()
            case Bisect():
                suspect.groups += [(half, None) for half in halves(slots)]
            case Repeat() | Isolate():
                return slots, None
            case Compare(detail):
                return await self._compare(suspect, slots, outcome, detail)
            case RejectRest(detail):
                return self._reject_rest(suspect, slots, detail)
            case Retry(detail, max_delay_s):
                return await self._again(suspect, slots, detail, max_delay_s)
            case Postpone(detail=detail, verdict=wait):
                self._health.lack(detail)
                suspect.pending.fail(wait)
                return (), None
            case Trip() as trip:
                return self._give_up(suspect, trip)
        return suspect.next_group()

    def _table_stores(self, suspect: _Suspect) -> bool:
        return self._health.appends_stored > suspect.stored_before

    def _settle(self, suspect: _Suspect, slots: Sequence[PendingRow]) -> None:
        suspect.has_stored = True
        if len(slots) == suspect.pending.row_count:
            self.cases.forget(suspect.pending.key)
        self._health.stored()
        suspect.pending.settle(len(slots))
        self.wake()

    async def _again(
        self, suspect: _Suspect, slots: Sequence[PendingRow], detail: str, max_delay_s: float
    ) -> tuple[Sequence[PendingRow], Outcome | None]:
        suspect.failures += 1
        self._health.uncertain(detail, suspect.failures)
        if await self._appends.back_off(max_delay_s):
            self._repairs.begin(slots)
            return suspect.next_group()
        return slots, None

    def _give_up(self, suspect: _Suspect, trip: Trip) -> tuple[Sequence[PendingRow], Outcome | None]:
        verdict = self._trip(trip)
        if not isinstance(verdict, Durable):
            suspect.pending.fail(verdict)
        return (), None

    def _reject_rest(
        self, suspect: _Suspect, slots: Sequence[PendingRow], detail: str
    ) -> tuple[Sequence[PendingRow], Outcome | None]:
        rest = [*slots, *(slot for group, _ in suspect.groups for slot in group)]
        self._appends.reject(refused_of(rest, dict.fromkeys(range(len(rest)), RowError(detail))))
        return (), None

    async def _compare(
        self, suspect: _Suspect, slots: Sequence[PendingRow], outcome: Outcome, detail: str
    ) -> tuple[Sequence[PendingRow], Outcome | None]:
        """Wait until something is stored, which clears the table, or nothing is in flight any more."""
        if suspect.is_untried:  # its own rows come first, beginning with those furthest from these
            suspect.groups.insert(0, (slots, outcome))
            untried = next(number for number, (_, known) in enumerate(suspect.groups) if known is None)
            return suspect.groups.pop(untried)
        self._health.accuse(suspect.key)
        await self._compared(suspect)
        if not self._appends.still_wanted([suspect.pending]):
            return (), None
        if self._table_stores(suspect):
            return slots, outcome
        if len(self._health.accusers) >= AGREEING:
            return self._blame(
                suspect, SinkState.SCHEMA_MISMATCH, f"the store refuses every message, even alone: {detail}"
            )
        return await self._without_others(suspect, slots, detail)

    async def _without_others(
        self, suspect: _Suspect, slots: Sequence[PendingRow], detail: str
    ) -> tuple[Sequence[PendingRow], Outcome | None]:
        """Have it redelivered a few times; then reject it, if a check of the table finds nothing wrong."""
        suspect.case.deliveries += 1
        if suspect.case.deliveries >= ALONE_REFUSALS:
            obstacle = await self._appends.appender.check()
            if not isinstance(obstacle, SetupError):
                return self._reject_rest(suspect, slots, f"{detail} (after {suspect.case.deliveries} deliveries)")
            if obstacle.state not in _CANNOT_LOOK:
                return self._blame(suspect, obstacle.state, obstacle.detail)
        suspect.pending.fail(_UNCLEAR)
        return (), None

    def _is_agreed(self) -> bool:
        """Whether enough were refused, for long enough, to blame the table while other appends are in flight."""
        for_us = self._clock.elapsed_us() - self._health.accused_since_us
        return len(self._health.accusers) >= AGREEING_AT_ONCE and for_us >= AGREEING_FOR_US

    def _blame(self, suspect: _Suspect, state: SinkState, detail: str) -> tuple[Sequence[PendingRow], Outcome | None]:
        return self._give_up(suspect, trip_for(SetupError(state, detail), self._health.circuit.trips))

    async def _compared(self, suspect: _Suspect) -> None:
        verdict = suspect.pending.verdict
        verdict.add_done_callback(lambda _: self.wake())
        self._comparing += 1
        self.wake()
        try:
            while (self._others() or self._size > self._comparing) and not (
                self._table_stores(suspect) or verdict.done() or self._is_agreed()
            ):
                woken = asyncio.get_running_loop().create_future()
                self._waiting.append(woken)
                await woken
        finally:
            self._comparing -= 1
