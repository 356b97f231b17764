"""The embedded store drops copies before it stores them, by the rule of decision 0004."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.instants import SECOND_US, epoch_us, from_epoch_us
from app.schema.columns import Kind
from app.stores.duckdb.eraser import delete_rows
from app.stores.duckdb.file import EmbeddedLimits
from app.stores.duckdb.recent_keys import RECENT_KEYS
from app.stores.duckdb.store import EmbeddedStore
from app.stores.query import Condition, Deletion
from app.stores.sink import RowsRefused, Stored
from sluice.testing.clock import FakeClock
from tests.contract.stores import RECORDS, T0_US, every_row
from tests.encoding import encoded, whole_envelope
from tests.long_form import examples

LOOKBACK_US = 100 * SECOND_US


class _Clock(FakeClock):
    """It stands still between two appends."""

    def now_us(self) -> int:
        return self._now_us


class _Play:
    """A store in a file, and the rows that the table's rule shows of what was appended to it."""

    def __init__(self, path: Path) -> None:
        self._path, self._clock = str(path), _Clock(T0_US)
        self.rows: list[tuple[int, str]] = []
        self._last_us: dict[str, int] = {}
        self.store = self._opened()

    def _opened(self) -> EmbeddedStore:
        return EmbeddedStore.open(self._path, [RECORDS], self._clock, EmbeddedLimits(lookback_us=LOOKBACK_US))

    def _row(self, record_id: str | None, key: str) -> bytes:
        record = Record(id=record_id, timestamp=from_epoch_us(T0_US))  # type: ignore[arg-type] # None is to be refused
        return encoded(self.store.appender(RECORDS), record, whole_envelope(Message(key=key, data=b"", attributes={})))

    async def append(self, keys: Sequence[str]) -> None:
        """Append a row of each key with one stamp: the table's rule shows the first beyond the look-back."""
        await self.wait(1)
        now_us = self._clock.now_us()
        assert await self.store.appender(RECORDS).append([self._row(key, key) for key in keys]) == Stored()
        for key in dict.fromkeys(keys):
            if now_us - self._last_us.get(key, 0) > LOOKBACK_US:
                self.rows.append((now_us, key))
            self._last_us[key] = now_us

    async def refuse(self, keys: Sequence[str]) -> None:
        """Append rows beside one that the table refuses: none of them counts, and that one is named."""
        await self.wait(1)
        rows = [self._row(key, key) for key in keys]
        outcome = await self.store.appender(RECORDS).append([*rows, self._row(None, "bad")])
        assert isinstance(outcome, RowsRefused)
        assert set(outcome.errors) == {len(keys)}

    async def erase(self, key: str) -> None:
        """Erase the rows of a key: within the look-back, its next row is a copy all the same."""
        condition = Condition("id", (), "eq", Kind.STRING, (key,))
        query = Deletion(table="records", first_us=0, last_us=2 * T0_US, conditions=(condition,))
        assert await delete_rows(self.store, query) == [other for _, other in self.rows].count(key)
        self.rows = [row for row in self.rows if row[1] != key]

    async def wait(self, us: int) -> None:
        """Let time pass."""
        self._clock.advance_to(self._clock.now_us() + us)

    async def restart(self, _: None) -> None:
        """Close the file and open it again."""
        self.store.close()
        self.store = self._opened()


_KEYS = st.sampled_from("abc")
_WAITS_US = [LOOKBACK_US // 2, LOOKBACK_US - 1, LOOKBACK_US, LOOKBACK_US + 1]
_STEPS = st.one_of(
    st.tuples(st.just(_Play.append), st.lists(_KEYS, min_size=1, max_size=3)),
    st.tuples(st.just(_Play.refuse), st.lists(_KEYS, max_size=2)),
    st.tuples(st.just(_Play.wait), st.sampled_from(_WAITS_US)),
    st.tuples(st.just(_Play.erase), _KEYS),
    st.tuples(st.just(_Play.restart), st.none()),
)


@example([(_Play.append, "a"), *[(_Play.wait, LOOKBACK_US // 2), (_Play.append, "a"), (_Play.restart, None)] * 3])
@example([(_Play.append, "a"), (_Play.erase, "a"), (_Play.restart, None), (_Play.append, "a")])
@example([(_Play.append, "a"), (_Play.restart, None), (_Play.refuse, "ab"), (_Play.append, "b")])
@settings(max_examples=examples(48), deadline=None)
@given(steps=st.lists(_STEPS, max_size=14))
def test_what_is_stored_is_what_the_rule_shows(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """Over copies of copies, equal rows of one append, refusals, erasures and restarts."""

    async def holds() -> None:
        play = _Play(tmp_path_factory.mktemp("law") / "data.duckdb")
        for act, value in steps:
            await act(play, value)
        rows = await every_row(play.store, RECORDS, columns=("ingest_time", "id"))
        assert [(epoch_us(row["ingest_time"]), row["id"]) for row in rows] == sorted(play.rows)
        play.store.close()

    asyncio.run(holds())


async def test_what_the_file_remembers_of_copies_and_erased_rows_ends_with_the_look_back(tmp_path: Path) -> None:
    """It is deleted with the next copy, so that it does not grow."""
    play = _Play(tmp_path / "data.duckdb")
    for step, value in ((_Play.append, "ab"), (_Play.append, "ab"), (_Play.erase, "b"), (_Play.wait, LOOKBACK_US)):
        await step(play, value)  # type: ignore[arg-type] # each takes its own value
    await play.append("c")
    await play.append("c")
    count = f"SELECT count(*) FROM {RECENT_KEYS}"  # noqa: S608 - a constant
    assert play.store.read_once(lambda connection: connection.execute(count).fetchone()) == (1,)
    play.store.close()
