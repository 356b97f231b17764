"""When a writer is stuck: messages wait and the store answers nothing, however few they are."""

import asyncio

import pytest

from app.ingest.verdict import Unavailable
from app.ingest.write.stall_watchdog import StallWatchdog
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)
from sluice.testing.clock import FakeClock
from tests.ingest.bench import Bench

LIMIT_S = 300.0
AWAY = Uncertain("connection refused")


class Story:
    """A Progress under a fake clock, and how long it has been stuck."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.progress = StallWatchdog(self.clock.elapsed_us, LIMIT_S)

    async def wait(self, seconds: float) -> float | None:
        """Let a message wait for so long, in vain; return what there is to say while it still does."""
        self.progress.begin()
        await self.clock.advance(seconds)
        stuck_s = self.progress.stuck_s
        self.progress.end()
        return stuck_s

    async def be_silent(self, seconds: float) -> float | None:
        await self.clock.advance(seconds)
        return self.progress.stuck_s


async def test_messages_that_wait_all_the_time_without_an_answer_are_a_stuck_writer() -> None:
    """From the limit on, and not before; it says how long it has been."""
    story = Story()
    story.progress.begin()
    assert await story.be_silent(LIMIT_S - 1) is None
    story.progress.begin()
    story.progress.end()
    assert await story.be_silent(1) == LIMIT_S
    assert await story.be_silent(60) == LIMIT_S + 60


async def test_a_message_a_minute_shows_an_outage() -> None:
    """Each waits half a minute in vain; between them it stays as it is, so that a probe fails as often as it asks."""
    story = Story()
    for _ in range(5):
        assert await story.wait(30) is None
        assert await story.be_silent(29) is None
    assert await story.wait(30) == 325
    assert await story.be_silent(30) == 355


@pytest.mark.parametrize("waited_s", [30.0, 299.0])
async def test_a_silence_is_no_outage(waited_s: float) -> None:
    """After a message that failed nothing comes for an hour, and then another one."""
    story = Story()
    assert await story.wait(waited_s) is None
    for _ in range(60):
        await story.clock.advance(60)
    assert story.progress.stuck_s is None
    assert await story.wait(LIMIT_S - 1) is None
    story.progress.begin()
    assert await story.be_silent(1) == LIMIT_S


async def test_a_stuck_writer_is_forgotten_when_nobody_asks_it_any_more() -> None:
    """Half of the limit after the last wait, at the latest."""
    story = Story()
    assert await story.wait(LIMIT_S) == LIMIT_S
    assert await story.be_silent(LIMIT_S / 2) is not None
    assert await story.be_silent(1) is None


async def test_a_service_without_messages_is_not_stuck() -> None:
    """Neither at first nor after days."""
    story = Story()
    assert story.progress.stuck_s is None
    assert await story.be_silent(86_400) is None


async def test_an_answer_begins_the_story_anew() -> None:
    """For those who still wait too: from the answer on."""
    story = Story()
    story.progress.begin()
    story.progress.begin()
    await story.clock.advance(LIMIT_S)
    story.progress.answered()
    story.progress.end()
    assert story.progress.stuck_s is None
    assert await story.be_silent(LIMIT_S - 1) is None
    assert await story.be_silent(1) == LIMIT_S
    story.progress.answered()
    story.progress.end()
    assert await story.be_silent(LIMIT_S) is None


DEFINITE: list[Outcome] = [
    Stored(),
    RowsRefused({0: RowError("no")}),
    TooLarge("too large"),
    QuotaExceeded("slow down"),
    SetupError(SinkState.NOT_FOUND, "no table"),
]


@pytest.mark.parametrize("outcome", DEFINITE, ids=lambda outcome: type(outcome).__name__)
async def test_every_outcome_but_an_uncertain_one_is_an_answer(bench: Bench, outcome: Outcome) -> None:
    """Of a store that says no, nothing is gained by another process."""
    bench.appender.decide = lambda _: AWAY
    told = [bench.submit(b"a", budget_s=400)]
    await bench.clock.advance(LIMIT_S)
    assert bench.writer.progress.stuck_s == pytest.approx(LIMIT_S)
    bench.appender.decide = lambda _: outcome
    await bench.clock.advance(10)
    assert bench.writer.progress.stuck_s is None
    await bench.clock.advance(100)
    await asyncio.gather(*told)


async def test_a_store_that_never_answers_an_append_makes_a_stuck_writer(bench: Bench) -> None:
    """Each message gives up by its own budget; what counts is that none of the attempts was answered."""
    bench.appender.decide = lambda _: AWAY
    for _ in range(10):
        assert bench.writer.progress.stuck_s is None
        waiting = bench.submit(b"a")
        await bench.clock.advance(30)
        assert isinstance(await waiting, Unavailable)
    assert bench.writer.progress.stuck_s == pytest.approx(LIMIT_S)


async def test_messages_that_are_refused_during_a_pause_do_not_wait(bench: Bench) -> None:
    """A set-up pause is a state of its own, and a restart does not mend it."""
    bench.appender.decide = lambda _: SetupError(SinkState.PERMISSION_DENIED, "not permitted")
    for _ in range(100):
        waiting = bench.submit(b"a")
        await bench.clock.advance(10)
        assert isinstance(await waiting, Unavailable)
        assert bench.writer.progress.stuck_s is None
    assert bench.state() is SinkState.PERMISSION_DENIED


async def test_a_silence_of_a_healthy_store_is_not_counted() -> None:
    """An answered message that nobody followed is no wait: an outage counts from the first message in vain."""
    story = Story()
    for _ in range(2):
        story.progress.begin()
        story.progress.answered()
        story.progress.end()
        await story.clock.advance(LIMIT_S * 0.45)
    assert await story.wait(LIMIT_S - 1) is None
    assert await story.be_silent(1) == LIMIT_S
