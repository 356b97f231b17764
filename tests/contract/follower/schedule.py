"""Schedules: what the writers go through, and when the followers ask meanwhile."""

from random import Random
from typing import Literal

import msgspec

from app.runtime.instants import SECOND_US
from tests.contract.follower.clocks import LATEST_COMMIT_US
from tests.contract.follower.followers import Poll

Wait = int | Literal["commit", "settled", "look-back"]


class Event(msgspec.Struct, frozen=True):
    """A writer takes a new record, takes up again one that it or another gave up, or crashes.

    It happens `apart_us` after the event before. What is sent is committed after `delay_us`; None is never.
    """

    kind: Literal["record", "retry", "crash"]
    writer: int
    apart_us: int
    source: str
    delay_us: int | None


class Moment(msgspec.Struct, frozen=True):
    """Time passes (microseconds, or up to the `nth` time that something is due), and a follower reads."""

    wait: Wait
    nth: int
    number: int
    polls: list[Poll]


class Scene(msgspec.Struct, frozen=True):
    """Some events in quick succession, and what follows."""

    events: list[Event]
    moments: list[Moment]


_APART_US = (0, 1, 1000, 500_000)
_DELAYS_US = (0, SECOND_US, 10 * SECOND_US, LATEST_COMMIT_US - 1, LATEST_COMMIT_US, LATEST_COMMIT_US, None)
_WAITS: tuple[Wait, ...] = (
    *("commit", "commit", "settled", "settled", "settled", "settled", "look-back"),
    *(1, SECOND_US, 22 * SECOND_US),
)


def schedule(seed: int) -> list[Scene]:
    """Return the schedule of `seed`.

    Not a strategy of Hypothesis: what it draws by itself is mostly short and alike, and few of its schedules have rows,
    pages and polls that meet at an edge. Of these, most have.
    """
    random = Random(seed)
    return [_scene(random) for _ in range(random.randint(1, 3))]


def _scene(random: Random) -> Scene:
    return Scene(
        events=[_event(random) for _ in range(random.randint(3, 7))],
        moments=[_moment(random) for _ in range(random.randint(1, 3))],
    )


def _event(random: Random) -> Event:
    return Event(
        kind=random.choice(("record", "record", "record", "record", "retry", "crash")),
        writer=random.randrange(4),
        apart_us=random.choice(_APART_US),
        source=random.choice("ab"),
        delay_us=random.choice(_DELAYS_US),
    )


def _moment(random: Random) -> Moment:
    polls = [_poll(random) for _ in range(random.randint(1, 5))]
    number = random.choice((0, 1, 2, 2))
    return Moment(wait=random.choice(_WAITS), nth=random.randrange(6), number=number, polls=polls)


def _poll(random: Random) -> Poll:
    return Poll(
        limit=random.choice((1, 1, 2, 1000)),
        format=random.choice(("json", "json", "ndjson", "csv", "arrow")),
        fate=random.choice(("read", "read", "read", "read", "latest", "lost")),
        walks=random.random() < 0.7,
    )
