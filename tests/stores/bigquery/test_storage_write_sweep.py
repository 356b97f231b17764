"""The error matrix, shaken: random faults for random messages, and a ledger that must come out even."""

import random

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.ingest.write.batching import BatchLimits
from app.stores.sink import SinkState
from sluice.testing.misbehaving.faults import (
    DRAINING,
    INTERNAL,
    OVERLOADED,
    QUOTA,
    RESTARTED,
    Arrival,
    Cut,
    Decide,
    EndStream,
    Fault,
    Freeze,
    Listing,
    Silence,
    not_stored,
)
from sluice.testing.misbehaving.waiting import advance_until
from tests.long_form import IS_LONG
from tests.stores.bigquery.rig import Message, Rig, rigged

MESSAGES, FAULT_RATE = 120, 0.3
SMALL = BatchLimits(max_rows=6, max_bytes=1_000_000)


def at_random(dice: random.Random, rate: float) -> Decide:
    """Return what gives a share `rate` of the requests one of the faults that pass without help."""
    endings = (DRAINING, RESTARTED, OVERLOADED, EndStream("INTERNAL", "internal"), EndStream("OK"), Cut(), INTERNAL)

    def decide(_: Arrival) -> Fault:
        listing: Listing = dice.choice(("complete", "incomplete", "empty", "out of range"))
        if dice.random() >= rate:
            return Fault(listing=listing)
        slow_s = dice.choice((0.0, 0.0, 0.3, 8.0))
        return dice.choice(
            (
                Fault(listing=listing, answer_delay_s=dice.choice((0.05, 1.0, 12.0))),
                Fault(listing=listing, answer=dice.choice(endings), answer_delay_s=slow_s),
                Fault(stores=False, answer=dice.choice(endings), answer_delay_s=slow_s),
                Fault(awaits_commit=False, commit_delay_s=dice.choice((0.2, 15.0)), answer=dice.choice(endings)),
                Fault(answer=dice.choice((Silence(), Freeze()))),
                Fault(stores=False, answer=dice.choice((Silence(), Freeze()))),
                Fault(commit_delay_s=dice.choice((5.0, 15.0))),
                not_stored(QUOTA),
            )
        )

    return decide


class Sender:
    """Sends messages and delivers again those that were not acknowledged, as Pub/Sub does."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self._rig, self._dice = rig, dice
        self.in_flight: list[Message] = []
        self.durable: dict[str, tuple[str, ...]] = {}
        self.told = dict.fromkeys((Durable, Unavailable, Throttled), 0)

    def send_new(self, number: int) -> None:
        """Send a message of one to six rows, every eighth of which is bad, and a few too large."""
        kinds = self._dice.choices(("good", "bad", "huge"), (85, 12, 3), k=self._dice.randint(1, 6))
        ids = [f"{kind}-{number}-{position}" for position, kind in enumerate(kinds)]
        self.in_flight.append(self._rig.send(f"m{number}", *ids))

    async def move(self, seconds: float) -> None:
        """Let the clock go on, or until all are told; deliver again what came back."""
        clock = self._rig.clock
        until_us = clock.elapsed_us() + seconds * 1e6
        await advance_until(
            clock,
            lambda: clock.elapsed_us() >= until_us or all(message.is_told for message in self.in_flight),
            step_s=0.1,
        )
        pause = self._rig.writer.health.pause()
        if pause is not None:
            await clock.advance(pause.retry_after_s)
        told = [message for message in self.in_flight if message.is_told]
        self.in_flight = [message for message in self.in_flight if not message.is_told]
        for message in told:
            verdict = message.waiter.result()
            self.told[type(verdict)] += 1
            if verdict == Durable():
                self.durable[message.name] = message.ids
            else:
                self.in_flight.append(self._rig.send(message.name, *message.ids))


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("seed", range(3 if IS_LONG else 1))
async def test_whatever_goes_wrong_nothing_is_lost_and_nobody_is_answered_for_another(
    seed: int, connections: int
) -> None:
    """Every message ends durable: its good rows stored, its bad rows rejected, or a message with any of them whole."""
    dice = random.Random(seed)
    async with rigged(max_connections=connections, limits=SMALL) as rig:
        rig.server.max_request_bytes = 4_000
        rig.server.is_bad = lambda row_id: row_id.startswith(("bad", "huge"))
        rig.padding = lambda row_id: 4_000 if row_id.startswith("huge") else 0
        rig.server.decide = at_random(dice, FAULT_RATE)
        sender = Sender(rig, dice)
        for number in range(MESSAGES):
            sender.send_new(number)
            if dice.random() < 0.5:
                await sender.move(dice.choice((0.1, 0.5, 3.0)))
                rig.check_ledger()
        rig.server.decide = lambda _: Fault()
        while sender.in_flight:
            await sender.move(5.0)
        ids = {row_id for row_ids in sender.durable.values() for row_id in row_ids}
        assert len(sender.durable) == MESSAGES
        assert set(rig.stored) | set(rig.rejected) == ids
        assert set(rig.rejected) >= {row_id for row_id in ids if rig.server.is_bad(row_id)}
        # What nobody waits for any more may have failed last; when that is over, the next message shows how it stands.
        await advance_until(rig.clock, lambda: not rig.writer._dispatcher.in_flight, step_s=0.1)
        sender.in_flight.append(rig.send("last", "good-last"))
        while sender.in_flight:
            await sender.move(5.0)
        assert rig.stands() is SinkState.ACTIVE
        assert len(rig.server.arrivals) > MESSAGES / 2
        assert sender.told[Unavailable] + sender.told[Throttled] > 0
        assert max(rig.stored.values()) > 1, "no fault made a copy: the sweep was too gentle"
