"""A follower sees each delivery exactly once, while four writers insert, duplicate, delay and crash."""

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from app.runtime.instants import SECOND_US
from tests.contract.follower.clocks import LATEST_COMMIT_US, LOOKBACK_US, SETTLE_US
from tests.contract.follower.followers import Follower, Poll
from tests.contract.follower.play import FAST, SLOW, play
from tests.contract.follower.schedule import schedule
from tests.contract.follower.stage import Stage
from tests.contract.follower.writers import Message
from tests.contract.stores import Engine, Store, law

_JUMP = Poll(walks=False)


@pytest.fixture
def stage(engine: Engine, store: Store) -> Iterator[Stage]:
    """Give an empty store and two instances that read it."""
    stage = Stage(engine, store)
    stage.begin()
    yield stage
    stage.close()


def put(stage: Stage, key: str, *, writer: int = 2, delay_us: int = 0) -> None:
    """Have a writer send a row that is committed after `delay_us`; by default one whose clock is right."""
    sender = stage.writers.writers[writer]
    sender.take(Message(key, "a"))
    stage.writers.send(sender, delay_us)


def keys(follower: Follower) -> list[str]:
    """Return the deliveries that a follower took."""
    return [place.delivery_key for place in follower.seen]


@pytest.mark.stamped_out_of_order
def test_followers_see_each_delivery_exactly_once(engine: Engine, stage: Stage) -> None:
    """Whatever the writers and the store do within the look-back and the margin, and however it is asked."""

    @law(engine, share=1.5 if engine.name == "memory" else 0.7)
    @given(st.integers(0, 2**64 - 1))
    def holds(seed: int) -> None:
        scenes = schedule(seed)
        note(f"seed {seed}: {scenes}")
        play(stage, scenes)

    holds()


@pytest.mark.above_the_stores
@pytest.mark.parametrize("beyond_us", [0, 1])
def test_the_margin_is_exactly_as_long_as_documented(stage: Stage, beyond_us: int) -> None:
    """A row that is committed a microsecond after it can be missed: clocks are as far apart as they may be."""
    put(stage, "late", writer=0, delay_us=LATEST_COMMIT_US + beyond_us)
    stage.advance(stage.writers.under_way[0].due_us)  # the row is about to be there
    follower, get = Follower({}), partial(stage.instances.get, FAST)
    follower.poll(get, Poll())
    stage.settle()
    follower.follow(get)
    assert keys(follower) == ([] if beyond_us else ["late"])
    assert len(stage.writers.expected(None)) == 1


@pytest.mark.above_the_stores
@pytest.mark.parametrize("beyond_us", [0, 1])
def test_the_look_back_is_exactly_as_long_as_documented(stage: Stage, beyond_us: int) -> None:
    """A copy that comes a microsecond after it is returned again."""
    put(stage, "k")
    stage.advance(stage.world.now_us + LOOKBACK_US + beyond_us)
    put(stage, "k")
    stage.settle()
    follower = Follower({})
    follower.follow(partial(stage.instances.get, SLOW))
    assert keys(follower) == (["k", "k"] if beyond_us else ["k"])


@pytest.mark.above_the_stores
@pytest.mark.parametrize("limit", [1, 1000])
def test_a_walk_may_go_on_at_an_instance_whose_clock_is_behind(stage: Stage, limit: int) -> None:
    """What the first instance knew to be settled stays so: following resume_cursor shows none of it again."""
    for key in "abc":
        put(stage, key)
        stage.advance(stage.world.now_us + 1_000)
    stage.advance(stage.world.now_us + SETTLE_US)
    follower = Follower({})
    fast, slow = (partial(stage.instances.get, number) for number in (FAST, SLOW))
    assert follower.poll(fast, Poll(limit=1))
    follower.poll(slow, Poll(limit=limit))
    follower.poll(slow, _JUMP)
    stage.settle()
    follower.follow(fast)
    assert keys(follower) == ["a", "b", "c"]


@pytest.mark.above_the_stores
@pytest.mark.parametrize("pause_us", [0, SETTLE_US + 5 * SECOND_US])
def test_a_walk_through_the_latest_rows_may_be_left_for_what_is_settled(stage: Stage, pause_us: int) -> None:
    """However long the scan takes, resume_cursor stands before a row that was committed behind its back."""
    put(stage, "late", delay_us=SECOND_US)
    stage.advance(stage.world.now_us + 1_000)
    put(stage, "b")
    stage.advance(stage.world.now_us + 1_000)
    put(stage, "c")
    stage.advance(stage.world.now_us + 1_000)
    follower, get = Follower({}), partial(stage.instances.get, FAST)
    assert follower.poll(get, Poll(limit=1, fate="latest"))
    stage.advance(stage.world.now_us + pause_us)
    follower.poll(get, Poll(limit=1))
    stage.settle()
    follower.follow(get)
    assert keys(follower) == ["late", "b", "c"]
