"""No reader passes a row that becomes visible later: the service's own writer and reader over a scripted store."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.long_form import examples
from tests.stores.bigquery.watermarks.world import World

OFFSETS = st.sampled_from([-2.0, 0.0, 2.0])
POSITION = st.integers(0, 7)


class Watermarks(RuleBasedStateMachine):
    """Instances come, go, crash, stop and are cut off; appends are answered, refused, given up, and stored late."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.world = self.loop.run(_new())

    @initialize(offsets_s=st.lists(OFFSETS, min_size=1, max_size=3))
    def begin(self, offsets_s: list[float]) -> None:
        for offset_s in offsets_s:
            self.start(offset_s)
        self.loop.run(self.world.advance(3.0, serving=True))

    def teardown(self) -> None:
        self.loop.run(self.world.close())
        self.loop.close()

    @precondition(lambda self: len(self.world.running) < 3)
    @rule(offset_s=OFFSETS)
    def start(self, offset_s: float) -> None:
        self.loop.run(_do(lambda: self.world.start(offset_s)))

    @rule(random=st.randoms(use_true_random=False), seconds=st.sampled_from([3, 10, 20]))
    def live(self, random: Random, seconds: int) -> None:
        """Let the instances store messages; some requests take their time, are refused, or never heard of again."""
        self.loop.run(self.world.live(random, seconds))

    @rule(seconds=st.sampled_from([1.0, 5.0, 12.0, 40.0]), serving=st.booleans())
    def wait(self, seconds: float, *, serving: bool) -> None:
        self.loop.run(self.world.advance(seconds, serving=serving))

    @rule(position=POSITION, how=st.sampled_from(["commit", "refuse"]))
    def settle_one(self, position: int, how: str) -> None:
        """Let the store do with one request what its client does not expect."""
        fitting = [each for each in self.world.requests if each.may_commit(self.world.now_s)]
        if fitting and how == "commit":
            self.world.commit(fitting[position % len(fitting)])
        elif fitting:
            self.loop.run(self.world.refuse(fitting[position % len(fitting)]))

    @precondition(lambda self: self.world.running)
    @rule(position=POSITION, what=st.sampled_from(["cut off", "stop", "go on", "crash", "leave"]))
    def trouble(self, position: int, what: str) -> None:
        """Trouble one instance; "go on" ends what can be ended of it for all."""
        instance = self.world.running[position % len(self.world.running)]
        match what:
            case "cut off":
                instance.is_cut_off = not instance.is_cut_off
            case "stop":
                instance.is_running = False
            case "crash":
                self.world.crash(instance)
            case "leave":
                self.loop.run(_do(instance.leave))
            case _:
                for each in self.world.instances:
                    each.is_cut_off = False
                    if not each.is_running and not each.has_crashed:
                        self.loop.run(self.world.resume(each))

    @rule(offset_s=OFFSETS)
    def read(self, offset_s: float) -> None:
        self.loop.run(self.world.read(offset_s))


async def _new() -> World:
    return World()


async def _do(act: Callable[[], None]) -> None:
    act()


def run(number: int, **more: Any) -> None:
    """Run the law in so many examples."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    chosen = settings(max_examples=number, stateful_step_count=30, suppress_health_check=slow, deadline=None, **more)
    run_state_machine_as_test(Watermarks, settings=chosen)


def test_no_reader_passes_a_row_that_becomes_visible_later() -> None:
    """Whatever happens to instances, appends and marks."""
    run(examples(120))
