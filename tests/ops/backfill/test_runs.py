"""Runs of a backfill: killed and repeated in any order, changed and damaged files."""

import asyncio
import gzip
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.settings.load import Settings
from app.stores.backend import OPENERS
from sluice.ops.backfill.sources import SourceError
from sluice.ops.backfill.storing import Counts, StoppedError
from tests.long_form import examples
from tests.ops.backfill.running import record, run, stored_keys, write_lines

_numbers = itertools.count()


@pytest.fixture(scope="module")
def _memory() -> Iterator[None]:
    OPENERS["memory"] = "tests.stores.memory.store"
    yield
    OPENERS.pop("memory")


def fresh() -> Settings:
    """Return settings of an empty store in memory, which recognises no copy."""
    return Settings().replace(backend="memory", data_path=f"backfill-{next(_numbers)}", dedupe_lookback_s=30.001)


async def killed(settings: Settings, source: Path, after: int, **how: Any) -> None:
    """Begin a run, and cancel it once `after` records are stored."""
    counts = Counts()
    task = asyncio.create_task(run(settings, source, counts=counts, **how))
    while not task.done() and counts.total < after:  # noqa: ASYNC110 - at every step of the loop
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("_memory")
@given(
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    kills=st.lists(st.integers(0, 12), max_size=3),
    bad=st.sets(st.integers(0, 20)),
    batch=st.integers(1, 4),
)
@hypothesis_settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_sequence_of_kills_and_runs_stores_each_record_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], kills: list[int], bad: set[int], batch: int
) -> None:
    """Whatever a killed run had stored or rejected by then."""
    folder, settings, numbers = tmp_path_factory.mktemp("law"), fresh(), itertools.count()
    for at, size in enumerate(sizes):
        own = [next(numbers) for _ in range(size)]
        write_lines(folder / f"{at}.ndjson", [{"id": n} if n in bad else record(n) for n in own])
    total = sum(sizes)
    for after in kills:
        asyncio.run(killed(settings, folder, after, batch_records=batch))
    counts = asyncio.run(run(settings, folder, batch_records=batch))
    assert counts.total == total
    records, rejects = asyncio.run(stored_keys(settings))
    rejected = len([number for number in range(total) if number in bad])
    assert (len(records), len(rejects)) == (total - rejected, rejected)
    assert not [key for key, times in Counter([*records, *rejects]).items() if times > 1]


@pytest.mark.usefixtures("_memory")
async def test_two_runs_at_once_store_nothing_that_a_reader_sees_twice(tmp_path: Path) -> None:
    """They may both append a record, within moments of each other: the second row is a copy, which reads leave out."""
    settings, source = fresh(), write_lines(tmp_path / "a.ndjson", [record(n) for n in range(50)])
    await asyncio.gather(*(run(settings, source, batch_records=5) for _ in range(2)))
    records, _ = await stored_keys(settings)
    assert len({*records}) == 50
    assert (await run(settings, source)).known == 50


@pytest.mark.usefixtures("_memory")
async def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """Its records would otherwise pass for those stored from the same places."""
    settings, source = fresh(), write_lines(tmp_path / "a.ndjson", [record(1), record(2)])
    await run(settings, source)
    write_lines(source, [record(0), record(1), record(2)])
    with pytest.raises(StoppedError, match=r"a\.ndjson has changed: its record 0 .* under another name"):
        await run(settings, source)
    assert (await run(settings, source, "another")).stored == 3


@pytest.mark.usefixtures("_memory")
async def test_what_is_read_before_a_fault_is_stored(tmp_path: Path) -> None:
    """A damaged file ends the run, by its name; once it is mended, the rest follows."""
    settings, source = fresh(), tmp_path / "b.ndjson.gz"
    lines = write_lines(tmp_path / "lines", [record(n, data=str(n) * 100) for n in range(2_000)]).read_bytes()
    whole = gzip.compress(lines, mtime=0)
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"b\.ndjson\.gz: cannot be read as ndjson after [1-9]"):
        await run(settings, source)
    source.write_bytes(whole)
    counts = await run(settings, source)
    assert min(counts.stored, counts.known) > 0
    assert counts.stored + counts.known == 2_000


@pytest.mark.usefixtures("_memory")
async def test_every_line_is_one_record(tmp_path: Path) -> None:
    """An array is no record, nor is a text; blank lines are nothing; a line beyond all limits is cut and rejected."""
    settings, source = fresh().replace(max_body_bytes=1_000), tmp_path / "a.ndjson"
    write_lines(source, [[record(1), record(2)], "text", record(3, data="x" * 2_000), record(4)])
    source.write_text("\n  \n" + source.read_text() + "\n")
    counts = await run(settings, source)
    assert (counts.stored, counts.rejected) == (1, 3)
