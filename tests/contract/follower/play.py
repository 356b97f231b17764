"""A schedule played on a stage, with three followers who must agree with the model in the end."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never

from app.stores.query import Position
from tests.contract.follower.clocks import FAST_US, LOOKBACK_US, SETTLE_US, SLOW_US
from tests.contract.follower.followers import Follower, Get, Poll
from tests.contract.follower.schedule import Event, Moment, Scene
from tests.contract.follower.stage import Stage

# Of everything; with a filter; and of everything again, from a service whose instances answer in turn.
FOLLOWED = (None, "a", None)
FAST, SLOW = 1, 0


class Followers:
    """Three followers. The first asks the instance whose clock is fast, the second the slow one."""

    def __init__(self, instances: Sequence[Get]) -> None:
        self._instances, self._requests = instances, 0
        self.all = [Follower({} if source is None else {"source": source}) for source in FOLLOWED]

    def read(self, number: int, polls: Sequence[Poll]) -> None:
        """Have a follower ask for some pages."""
        for poll in polls:
            self._requests += 1
            instance = (FAST, SLOW, self._requests % 2)[number]
            self.all[number].poll(self._instances[instance], poll)

    def check(self, expected: Callable[[str | None], list[Position]]) -> None:
        """Have every follower read to the end: it has seen what is `expected` of its source, once and in order."""
        for follower, source in zip(self.all, FOLLOWED, strict=True):
            follower.follow(self._instances[FAST])
            assert follower.seen == expected(source)


def play(stage: Stage, scenes: Sequence[Scene]) -> None:
    """Play a schedule, and check what the followers saw."""
    stage.begin()
    followers = Followers([partial(stage.instances.get, number) for number in range(2)])
    for scene in scenes:
        for event in scene.events:
            stage.advance(stage.world.now_us + event.apart_us)
            _happen(stage, event)
        for moment in scene.moments:
            _wait(stage, moment)
            followers.read(moment.number, moment.polls)
    stage.settle()
    followers.check(stage.writers.expected)


def _happen(stage: Stage, event: Event) -> None:
    """Let a writer do what the event says, as far as it can."""
    writers, writer = stage.writers, stage.writers.writers[event.writer]
    is_done = writer.sent is not None and writer.sent not in writers.under_way
    if writer.held is not None and event.kind == "crash":  # whether or not the row is stored: the message comes again
        writers.queue.append(writer.stop())
    elif writer.held is not None and is_done and event.kind == "record":
        writer.stop()
    if event.kind == "record":
        writers.queue.insert(0, writers.publish(event.source))
    if event.kind in {"record", "retry"}:
        if writer.held is None and writers.queue:
            writer.take(writers.queue.pop(0))
        if writer.held is not None:
            writers.send(writer, event.delay_us)


def _wait(stage: Stage, moment: Moment) -> None:
    """Let time pass."""
    now_us, writers = stage.world.now_us, stage.writers
    match moment.wait:
        case int():
            stage.advance(now_us + moment.wait)
        case "look-back":  # a copy comes when it is the last time that it may
            late = next((message for message in writers.queue if message.stamps_us), None)
            free = next((writer for writer in writers.writers if writer.held is None), None)
            if late is not None and free is not None:
                writers.queue.remove(late)
                stage.advance(max(late.stamps_us) + LOOKBACK_US - free.skew_us)
                free.take(late)
                writers.send(free, 0)
        case "commit":  # it is due at this very moment, and has not happened yet
            _wait_for(stage, moment, [commit.due_us for commit in writers.under_way])
        case "settled":  # one of the instances is about to take a row for final, or just did
            rows = [commit.place for commit in [*writers.stored.values(), *writers.under_way]]
            edges_us = [row.ingest_us + SETTLE_US - skew_us for row in rows for skew_us in (FAST_US, SLOW_US)]
            _wait_for(stage, moment, edges_us + [edge_us + 1 for edge_us in edges_us])
        case _:
            assert_never(moment.wait)


def _wait_for(stage: Stage, moment: Moment, edges_us: list[int]) -> None:
    due_us = sorted(edge_us for edge_us in edges_us if edge_us > stage.world.now_us)
    if due_us:
        stage.advance(due_us[moment.nth % len(due_us)])
