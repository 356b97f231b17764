"""The law of a table that follows a state: it has what `/v1/state` has, whatever happened and whoever was killed."""

import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.runtime.instants import SECOND_US
from app.schema.table import records_table
from app.stores.backend import Eraser
from app.stores.erasures import ErasedRecord
from app.stores.query import Deletion
from sluice_client import Client, TargetError
from sluice_client.protocol import requests
from sluice_client.sinks.sink import open_sink
from tests.client.targets import Target, duckdb_target, sqlite_target
from tests.client.versions import Version
from tests.contract.memory import MemoryEngine, MemoryUnderTest
from tests.contract.service import Service
from tests.contract.stores import REJECTS
from tests.long_form import examples

VERSIONS = records_table(Version)


class Run(NamedTuple):
    """What happens before a run of the follower and before each of its requests, and at which step it is killed.

    An action is versions that arrive at one instant, the erasure of an id, None for the next step of the erasures that
    have begun, or seconds that pass.
    """

    before: list[Any]
    meanwhile: list[list[Any]]
    steps: int
    rewind: bool


def _version(rng: random.Random) -> Version:
    return Version(id=rng.choice("abc"), number=rng.choice([None, -1, 1, 1]), is_gone=rng.choice([None, False, True]))


def _actions(rng: random.Random, most: int) -> list[Any]:
    made: dict[str, Callable[[], Any]] = {
        "put": lambda: [_version(rng) for _ in range(rng.randint(1, 4))],
        "erase": lambda: rng.choice("abc"),
        "go on": lambda: None,
        "wait": lambda: rng.choice([1, 400]),
    }
    return [made[kind]() for kind in rng.choices([*made], [4, 2, 4, 1], k=rng.randint(0, most))]


def _run(rng: random.Random) -> Run:
    meanwhile = [_actions(rng, 3) for _ in range(rng.randint(0, 8))]
    return Run(_actions(rng, 8), meanwhile, rng.choice([0, rng.randint(1, 60)]), rng.random() < 0.2)


class Killed(BaseException):
    """The follower ends here, without another step."""


class SlowlyErasing:
    """A store whose erasures take as long as the test wants: first to delete, then to be known."""

    def __init__(self, store: MemoryUnderTest) -> None:
        self._store, self.steps = store, list[Callable[[], Coroutine[Any, Any, Any]]]()
        self.eraser: Eraser = self

    def __getattr__(self, name: str) -> Any:
        """Return what the store has."""
        return getattr(self._store, name)

    @property
    def generation(self) -> int:
        return self._store.eraser.generation

    async def delete(self, query: Deletion) -> int:
        self.steps.append(partial(self._store.eraser.delete, query))
        return 0

    async def advance(self, erased: ErasedRecord) -> None:
        self.steps.append(partial(self._store.eraser.advance, erased))


class Mortal:
    """A database, each call of which is a step."""

    def __init__(self, database: Any, step: Callable[[], None]) -> None:
        self._database, self._step = database, step

    def __getattr__(self, name: str) -> Any:
        """Return what the database has."""
        found = getattr(self._database, name)
        if not callable(found):
            return found

        def call(*given: Any) -> Any:
            self._step()
            return found(*given)

        return call


class Followed:
    """A service with nothing in it, and a table that follows its state."""

    def __init__(self, engine: MemoryEngine, store: MemoryUnderTest, target: Target) -> None:
        engine.loop.run(store.clear())
        self.engine, self.store, self.target = engine, SlowlyErasing(store), target
        self.service = Service(engine, self.store, VERSIONS)
        self.client, self.keys = self.service.client(), itertools.count()
        self.meanwhile, self.steps_left = list[list[Any]](), 0

    def act(self, action: Any) -> None:
        match action:
            case list():
                now_us = self.store.clock.now_us()
                self.service.put(VERSIONS, [(now_us, f"k{next(self.keys):04}", each) for each in action])
            case str():
                assert self.client.request("DELETE", f"/v1/records/{action}").status_code in {200, 202}
            case None if self.store.steps:
                self.engine.loop.run(self.store.steps.pop(0)())
        self.service.settle(self.store.clock.now_us() + (action if isinstance(action, int) else 0) * SECOND_US)

    def follow(self, run: Run) -> None:
        for action in run.before:
            self.act(action)
        self.meanwhile, self.steps_left = [*run.meanwhile], run.steps
        with suppress(Killed), Client("http://service", transport=httpx.MockTransport(self._answer)) as client:
            sink: Any = open_sink(self.target.name, self.target.table)
            sink._database = Mortal(sink._database, self._step)
            client.follow_into(sink, state=True, until_caught_up=True, rewind=run.rewind)

    def check(self) -> None:
        """The table is the state, with tombstones that are marked as such."""
        rows = self.target.read("delivery_key", "is_gone")
        assert len(rows) == len({key for key, _ in rows})
        assert {key for key, is_gone in rows if not is_gone} == self._state()
        assert {key for key, _ in rows} == self._state(tombstones="include")

    def _state(self, **asked: str) -> set[str]:
        return {each["delivery_key"] for each in self.client.get("/v1/state", params=asked).json()["records"]}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self._step()
        for action in self.meanwhile.pop(0) if self.meanwhile else ():
            self.act(action)
        found = self.client.request("GET", str(request.url.raw_path, "ascii"))
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    def _step(self) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            raise Killed


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Target], Followed]]:
    """Give what makes an empty service, whose pages have two records."""
    monkeypatch.setattr(requests, "PAGE_RECORDS", 2)
    engine = MemoryEngine()
    store = engine.loop.run(engine.open([VERSIONS, REJECTS]))
    yield lambda target: Followed(engine, store, target)
    engine.loop.run(store.close())
    engine.loop.close()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_table_that_follows_has_the_state(kind: str, tmp_path: Path, empty: Callable[[Target], Followed]) -> None:
    """Sequences, tombstones, late versions, slow erasures, and kills between any two steps."""
    make = {"sqlite": sqlite_target, "duckdb": duckdb_target}[kind]
    targets = (make(tmp_path / f"{number}.{kind}") for number in itertools.count())

    @settings(
        max_examples=examples(120),
        deadline=None,
        suppress_health_check=[*HealthCheck],
        phases={Phase.explicit, Phase.reuse, Phase.generate},  # to make an example small would take minutes
    )
    @given(st.integers(0, 2**32))
    def law(seed: int) -> None:
        followed, rng = empty(next(targets)), random.Random(seed)
        for _ in range(rng.randint(1, 5)):
            followed.follow(_run(rng))
        followed.follow(Run([None] * len(followed.store.steps), [], 0, rewind=False))
        followed.check()

    law()


def test_an_erasure_while_the_state_is_read_hides_no_later_version(
    tmp_path: Path, empty: Callable[[Target], Followed]
) -> None:
    """Here it is known behind the first page, which had the erased version in place of a later, lower one.

    Nor does it hide a second erasure, behind the second page of the next run. An absence longer than the
    retention ends it.
    """
    followed = empty(sqlite_target(tmp_path / "a.sqlite"))
    high, low, *others = (Version(id=name, number=number) for name, number in [("a", 2), ("a", 1), ("b", 1), ("c", 1)])
    quiet, told = list[Any](), [None, None]
    followed.follow(Run([[high], "a", [low], *([each] for each in others)], [quiet] * 3 + [told], 0, rewind=False))
    followed.check()
    assert followed.target.read("id", "number") == [("a", 1), ("b", 1), ("c", 1)]
    later = [[each] for each in (high, *others)]
    followed.follow(Run(later, [quiet] * 5 + [["a", *told]], 0, rewind=False))
    followed.check()
    assert {name for (name,) in followed.target.read("id")} == {"b", "c"}
    with pytest.raises(TargetError, match="rewind, to read the state again"):
        followed.follow(Run([2 * 86_400], [], 0, rewind=False))
