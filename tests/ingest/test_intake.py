"""Taking bodies in: the place they take up, and the time they may take."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from app.http.problems import ProblemError
from app.ingest.admission import Admission
from app.ingest.intake import Intake
from app.runtime.ledger import Holding
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns

Receiving = Callable[[], Awaitable[Any]]
DEADLINE_S = 30.0
GONE = {"type": "http.disconnect"}


class Door:
    """An intake of bodies up to 100 bytes, of which ten fit, under a fake clock."""

    def __init__(self, message_bytes: int = 0) -> None:
        self.clock = FakeClock()
        self.admission = Admission(1_000, message_bytes)
        self.intake = Intake(self.admission, self.clock, max_body_bytes=100, read_deadline_s=DEADLINE_S)

    def reading(self, receive: Receiving, declared: int = 0, caller: str = "a") -> asyncio.Task[tuple[bytes, Holding]]:
        """Begin to read the body of a request that says it is of `declared` bytes."""
        return asyncio.create_task(self.intake.read({b"content-length": b"%d" % declared}, receive, caller))

    @property
    def held(self) -> tuple[int, int, int]:
        """How many messages and bytes are admitted, and how many bodies are being read."""
        return self.admission.messages, self.admission.bytes, len(self.intake._deadlines)


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
        body, holding = await door.intake.read(dict(headers), receive, "a")
        assert (len(body), door.held) == (size, (1, size, 0))
        holding.release()
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
    read, holding = await door.reading(events(*made))
    assert read == body
    assert door.held == (1, len(body), 0)
    holding.release()
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


@pytest.mark.parametrize("before", [0, 2])
async def test_what_the_server_raises_is_passed_on_and_gives_the_place_back(before: int) -> None:
    """Whatever it is."""
    door, left = Door(), [chunk(b"x")] * before

    async def receive() -> Any:
        if not left:
            raise ConnectionResetError("gone")
        return left.pop()

    with pytest.raises(ConnectionResetError, match="gone"):
        await door.reading(receive, declared=50)
    assert door.held == (0, 0, 0)


async def test_after_its_deadline_a_task_can_go_on(door: Door) -> None:
    """The cancellation that ended its reading is taken back: it is no cancellation to whatever the task does next."""

    async def request() -> bytes:
        with pytest.raises(ProblemError):
            await door.intake.read({}, events(), "a")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.TaskGroup() as group:
            answered = group.create_task(asyncio.sleep(0, "answered"))
        assert answered.result() == "answered"
        body, _ = await door.intake.read({}, events(chunk(b"again", more=False)), "a")
        return body

    asking = asyncio.create_task(request())
    await door.clock.advance(DEADLINE_S)
    assert await asking == b"again"


async def test_a_body_that_came_in_time_is_not_reminded_of_its_deadline(door: Door) -> None:
    """What the task does with it may take longer."""

    async def request() -> str:
        await door.intake.read({}, events(chunk(b"x", more=False)), "a")
        await door.clock.sleep(DEADLINE_S * 3)
        return "went on"

    asking = asyncio.create_task(request())
    await door.clock.advance(DEADLINE_S * 4)
    assert await asking == "went on"


async def test_a_cancellation_by_somebody_else_is_one(door: Door) -> None:
    """It is no slow body; the place is given back all the same."""
    reading = door.reading(events(), declared=50)
    await turns()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert door.held == (0, 0, 0)


@pytest.mark.parametrize("deadline_first", [True, False], ids=["the deadline first", "the deadline last"])
async def test_a_cancellation_by_somebody_else_is_one_though_the_deadline_passes_as_well(
    *, deadline_first: bool
) -> None:
    """While the server cleans up after the first of them, the second one comes."""
    door, cleaning = Door(), asyncio.Event()

    async def receive() -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.Event().wait()

    reading = door.reading(receive)
    await turns()
    if not deadline_first:
        reading.cancel()
        await cleaning.wait()
    await door.clock.advance(DEADLINE_S)
    assert cleaning.is_set()
    if deadline_first:
        assert not reading.done()
        reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert door.held == (0, 0, 0)


@pytest.mark.parametrize("deadline_first", [True, False], ids=["the deadline first", "the deadline last"])
async def test_a_cancellation_in_the_turn_of_the_deadline_is_one(door: Door, *, deadline_first: bool) -> None:
    """The task meets both as one, and it is not taken for the deadline's."""
    reading = door.reading(events())
    await turns()
    (waiting,) = door.intake._deadlines.close()
    cancel: list[Callable[[], object]] = [waiting.overdue, reading.cancel]
    for each in cancel if deadline_first else reversed(cancel):
        each()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert door.held == (0, 0, 0)


async def test_a_cancellation_that_the_task_lives_with_is_not_mistaken_for_the_deadlines(door: Door) -> None:
    """A task that was cancelled before it read, and went on, still meets its deadline as 408."""

    async def request() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        with pytest.raises(ProblemError, match="not complete"):
            await door.intake.read({}, events(), "a")
        task = asyncio.current_task()
        assert task is not None
        return f"cancelled {task.cancelling()} times"

    asking = asyncio.create_task(request())
    await turns()
    asking.cancel()
    await door.clock.advance(DEADLINE_S)
    assert await asking == "cancelled 1 times"


async def test_many_bodies_have_each_their_own_time() -> None:
    """Though they share one timer: those that come in time leave the others their deadlines."""
    door = Door()
    stalled, began_s = list[asyncio.Task[tuple[bytes, Holding]]](), list[float]()
    for _ in range(20):
        stalled.append(door.reading(events()))
        began_s.append(door.clock.elapsed_us() / 1e6)
        await door.reading(events(chunk(b"x", more=False)))
        await door.clock.advance(1)
    for number in range(20):
        await door.clock.advance(began_s[number] + DEADLINE_S - door.clock.elapsed_us() / 1e6)
        assert [each.done() for each in stalled] == [True] * (number + 1) + [False] * (19 - number)
    assert {type(each.exception()) for each in stalled} == {ProblemError}
    assert door.held == (20, 20, 0)


async def test_a_cancellation_that_the_server_swallows_is_taken_back(door: Door) -> None:
    """Whoever works in this task later is not thought to be cancelled."""

    async def receive() -> Any:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def request() -> int:
        with pytest.raises(ProblemError):
            await door.intake.read({}, receive, "a")
        task = asyncio.current_task()
        return task.cancelling() if task is not None else -1

    asking = asyncio.create_task(request())
    await door.clock.advance(DEADLINE_S + 1)
    assert await asking == 0
