"""Taking bodies in: the place they take up, and the time they may take."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.http.problems import ProblemError
from app.ingest.intake import Intake
from app.runtime.ledger import Ledger, Reservation
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns

Receiving = Callable[[], Awaitable[Any]]
DEADLINE_S = 30.0
GONE = {"type": "http.disconnect"}


class Door:
    """An intake of bodies up to 100 bytes, of which ten fit, under a fake clock."""

    def __init__(self, message_bytes: int = 0) -> None:
        self.clock = FakeClock()
        self.intake = Intake(self.clock, max_bytes=1_000, max_body_bytes=100, read_deadline_s=DEADLINE_S)
        self.intake.ledger = Ledger(max_bytes=1_000, least_bytes=message_bytes)

    def reading(
        self, receive: Receiving, declared: int = 0, caller: str = "a"
    ) -> asyncio.Task[tuple[bytes, Reservation]]:
        """Begin to read the body of a request that says it is of `declared` bytes."""
        return asyncio.create_task(self.intake.read({b"content-length": b"%d" % declared}, receive, caller))

    @property
    def held(self) -> tuple[int, int, int]:
        """How many messages and bytes are admitted, and how many bodies are being read."""
        return self.intake.ledger.holdings, self.intake.ledger.bytes, len(self.intake._deadlines)


@pytest.fixture
def door() -> Door:
    """Give an intake in which a message counts no more than its bytes."""
    return Door()


def events(*made: dict[str, Any]) -> Receiving:
    """Return what receives these events, then nothing more."""
    left = list(made)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = True) -> dict[str, Any]:
    """Return the event of a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("before", [[], [chunk(b"x" * 20)], [chunk(b"x" * 60)]], ids=["nothing", "some", "more"])
async def test_a_body_that_does_not_come_is_408_and_gives_its_place_back(
    door: Door, before: list[dict[str, Any]]
) -> None:
    """A caller that stalls does not hold memory for ever, however far it came."""
    reading = door.reading(events(*before), declared=50)
    await door.clock.advance(DEADLINE_S - 0.1)
    assert (reading.done(), door.held) == (False, (1, sum(len(each["body"]) for each in before), 1))
    await door.clock.advance(0.1)
    with pytest.raises(ProblemError) as raised:
        reading.result()
    assert (raised.value.status, raised.value.code) == (408, "slow_body")
    assert raised.value.headers == {"Connection": "close"}
    assert door.held == (0, 0, 0)


@pytest.mark.parametrize(
    ("headers", "size", "code"),
    [
        ([(b"content-length", b"101")], 101, "too_large"),
        ([], 101, "too_large"),
        ([(b"content-length", b"5")], 101, "too_large"),
        ([(b"content-length", b"nonsense")], 50, None),
        ([(b"content-length", b"7")], 50, None),
        ([], 100, None),
    ],
)
async def test_what_counts_is_what_came(
    door: Door, headers: list[tuple[bytes, bytes]], size: int, code: str | None
) -> None:
    """A wrong or missing length changes neither the limit nor the count."""
    receive = events(chunk(b"x" * size, more=False))
    if code is not None:
        with pytest.raises(ProblemError) as raised:
            await door.intake.read(dict(headers), receive, "a")
        assert raised.value.code == code
    else:
        body, reservation = await door.intake.read(dict(headers), receive, "a")
        assert (len(body), door.held) == (size, (1, size, 0))
        reservation.release()
    assert door.held == (0, 0, 0)


@pytest.mark.parametrize(
    ("made", "body"),
    [
        ([{"type": "http.request"}], b""),
        ([{"type": "http.request", "more_body": True}, chunk(b"a", more=False)], b"a"),
        ([chunk(b"a"), {"type": "http.request"}], b"a"),
        ([chunk(b""), chunk(b""), chunk(b"", more=False)], b""),
        ([chunk(b"%d" % number) for number in range(10)] + [chunk(b"!", more=False)], b"0123456789!"),
        ([chunk(b"x")] * 99 + [chunk(b"x", more=False)], b"x" * 100),
    ],
)
async def test_a_body_comes_in_one_event_or_in_many(door: Door, made: list[dict[str, Any]], body: bytes) -> None:
    """Its parts are joined in order; an event may say neither what it has nor that more follows."""
    read, reservation = await door.reading(events(*made))
    assert read == body
    assert door.held == (1, len(body), 0)
    reservation.release()
    assert door.held == (0, 0, 0)


@pytest.mark.parametrize(
    ("made", "declared", "problem"),
    [
        *(([chunk(b"x")] * before + [GONE], 50, (400, "incomplete_body")) for before in (0, 1, 3)),
        ([chunk(b"x" * 60), chunk(b"x" * 41)], 0, (413, "too_large")),
    ],
    ids=["gone before a part", "gone after one", "gone after three", "too large"],
)
async def test_a_body_that_ends_early_or_grows_too_large_is_refused_at_that_part(
    door: Door, made: list[dict[str, Any]], declared: int, problem: tuple[int, str]
) -> None:
    """What follows is not waited for."""
    with pytest.raises(ProblemError) as raised:
        await door.reading(events(*made), declared=declared)
    assert (raised.value.status, raised.value.code) == problem
    assert door.held == (0, 0, 0)


async def test_a_cancellation_by_somebody_else_is_one(door: Door) -> None:
    """It is no slow body; the place is given back all the same."""
    reading = door.reading(events(), declared=50)
    await turns()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert door.held == (0, 0, 0)
