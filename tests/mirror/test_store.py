"""The file of a mirror: rows, erasures and positions change together, whatever the types of the columns."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any, cast
from unittest.mock import Mock

import msgspec
import pytest
from msgspec import Meta
from msgspec.structs import replace

from app.query.answer.encoders import row_encoder
from app.query.erase import digest_of
from app.runtime.instants import DAY_US, SECOND_US, TimeRange, from_epoch_us
from app.schema.table import Table, records_table, rejects_table
from app.settings.load import Settings
from app.stores.duckdb.file import DiskSpace
from app.stores.erasures import ERASURES, erasures_table, served_table
from app.stores.query import LookUp, Position, Rows
from app.stores.sink import StoreError
from app.stores.source import StoreUnavailableError
from sluice.mirror.backend import Mirror, open_backend
from sluice.mirror.follower import Follower
from sluice.mirror.source import differences, source_stream
from sluice.mirror.store import Fetched, MirrorStore, MissedErasuresError
from sluice.testing.clock import FakeClock
from sluice_client.protocol.pages import ArrowPage
from sluice_client.protocol.requests import Feed
from sluice_client.protocol.schema import Column, TableSchema
from tests.query.sample_rows import Everything, sample_row

T0_US = 1_700_000_000 * SECOND_US


class Whole(Everything, forbid_unknown_fields=True):
    """A record with a column of every kind, and an id."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]


TABLE = records_table(Whole)
TABLES = (TABLE, rejects_table(), erasures_table([TABLE], 400))
STREAM = source_stream(TABLE, is_named=False)
ENVELOPE = dict.fromkeys(("subscription_name", "message_id", "publish_time", "ordering_key")) | {
    "attributes": msgspec.Raw(b'{"a":"b"}'),
    "message_index": 0,
    "trace_id": "t",
}


def row_of(record_id: str, at_us: int, key: str) -> dict[str, Any]:
    """Return a row as a QueryRunner does."""
    position = {"ingest_time": from_epoch_us(at_us), "delivery_key": key}
    return {**sample_row(), "id": record_id, **ENVELOPE, **position}


def stream_of(table: Table, rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as a page of Arrow."""
    encoder = row_encoder("arrow", table.columns)
    return encoder.begin() + encoder.encode(list(rows)) + encoder.end()


def erasure(record_id: str, until_us: int, at_us: int) -> bytes:
    """Return an erasure as a page of Arrow."""
    instants = {"until": from_epoch_us(until_us), "ingest_time": from_epoch_us(at_us)}
    return stream_of(served_table(), [{"digest": digest_of(record_id), "delivery_key": record_id} | instants])


def opened(path: str, clock: FakeClock) -> MirrorStore:
    """Return a store that has begun."""
    store = MirrorStore.open(path, TABLES, clock)
    assert store.begin("http://source", [STREAM], 400)
    return store


@pytest.fixture
async def store() -> AsyncIterator[MirrorStore]:
    """Give an empty store in memory."""
    store = opened(":memory:", FakeClock(T0_US))
    yield store
    await asyncio.to_thread(store.close)


def files_in(folder: Path) -> list[str]:
    """Return the names of the files there, without logs."""
    return [each.name for each in folder.iterdir() if each.suffix != ".wal"]


class Source:
    """A source that has something new at each request, after many erasures; it fails once."""

    asked = 0

    async def arrow_page(self, _: str, *, feed: Feed, wait_s: int = 0) -> ArrowPage:
        """Give an empty page."""
        self.asked += 1
        assert self.asked != 15
        of: Any = STREAM.erasures if feed.erasures else STREAM.records
        has_more = feed.erasures and self.asked < 25
        return ArrowPage(stream_of(TABLE, []), of.cursor(Position(T0_US + self.asked, "")), has_more)


async def rows_in(store: MirrorStore, table: str = "records", columns: Sequence[str] = ("id",)) -> list[dict[str, Any]]:
    """Return all rows."""
    query = Rows(table=table, within=TimeRange(0, 2 * T0_US), lookback_us=0, columns=tuple(columns))
    return (await store.rows(query)).rows


async def test_every_kind_of_column_arrives_as_it_was(store: MirrorStore) -> None:
    """And is found by its id."""
    row = row_of("a", T0_US, "k1")
    read_to = Position(T0_US + 1, "")
    fetched = Fetched(rows=[stream_of(TABLE, [row])], read_to=read_to, erased_to=Position(T0_US + 2, ""))
    assert await store.commit(STREAM, fetched) == 1
    (found,) = await rows_in(store, columns=[column.name for column in TABLE.columns])
    assert found == row
    columns, within = ("id", "ingest_time", "delivery_key"), TimeRange(0, 2 * T0_US)
    look_up = LookUp(
        table="records", within=within, lookback_us=0, columns=columns, id_column="id", record_id="a", limit=1
    )
    assert [each["id"] for each in (await store.rows(look_up)).rows] == ["a"]
    assert store.horizon_us("records") == T0_US + 1


async def test_an_export_continues_behind_its_last_row(store: MirrorStore) -> None:
    """Also if that row is erased at once."""
    rows = [row_of("a", T0_US, "k1"), row_of("b", T0_US, "k2")]
    erased = erasure("b", T0_US, T0_US + 5)
    fetched = Fetched(rows=[stream_of(TABLE, rows)], read_to=None, erasures=[erased], erased_to=Position(T0_US + 6, ""))
    await store.commit(STREAM, fetched)
    assert await rows_in(store) == [{"id": "a"}]
    assert store.read_to(STREAM) == Position(T0_US, "k2")


async def test_an_erasure_takes_older_versions_and_those_that_come_later(store: MirrorStore) -> None:
    """A version stamped after it stays; the version and the generation change, so no kept answer is given again."""
    rows = [row_of("a", T0_US, "k1"), row_of("a", T0_US + 10, "k2"), row_of("b", T0_US + 10, "k3")]
    read_to = Position(T0_US + 11, "")
    await store.commit(STREAM, Fetched(rows=[stream_of(TABLE, rows)], read_to=read_to, erased_to=read_to))
    before = store.version("records"), store.generation
    later, erasures = Position(T0_US + 12, ""), [erasure("a", T0_US + 5, T0_US + 11)]
    await store.commit(STREAM, Fetched(rows=[], read_to=later, erasures=erasures, erased_to=later))
    assert await rows_in(store) == [{"id": "a"}, {"id": "b"}]
    assert store.version("records") > before[0]
    assert store.generation > before[1]
    late = [row_of("b", T0_US + 13, "k4"), row_of("c", T0_US + 14, "k5")]
    for page, erasures, read_to_us in (([], [erasure("b", T0_US + 20, T0_US + 12)], 13), (late, [], 15)):
        rows_of_page = [stream_of(TABLE, page)] if page else []
        read_to = Position(T0_US + read_to_us, "")
        await store.commit(STREAM, Fetched(rows=rows_of_page, read_to=read_to, erasures=erasures, erased_to=read_to))
    assert await rows_in(store) == [{"id": "a"}, {"id": "c"}]
    assert len(await rows_in(store, ERASURES, ("digest",))) == 2
    assert store.horizon_us(ERASURES) == T0_US + 15


async def test_nothing_is_final_before_erasures_are_known(store: MirrorStore) -> None:
    """The horizon waits for the feed that was read less far."""
    horizons = []
    for read_us, erased_us in ((5, 2), (6, 9)):
        fetched = Fetched(rows=[], read_to=Position(T0_US + read_us, ""), erased_to=Position(T0_US + erased_us, ""))
        await store.commit(STREAM, fetched)
        horizons.append(store.horizon_us("records") - T0_US)
    assert horizons == [2, 6]


async def test_a_commit_that_fails_changes_nothing_and_is_repeated(tmp_path: Path) -> None:
    """Neither rows nor positions, in memory or in the file: the page comes once."""
    clock = FakeClock(T0_US)
    store = opened(str(tmp_path / "m.duckdb"), clock)
    page = stream_of(TABLE, [row_of("a", T0_US, "k1")])
    read_to = Position(T0_US + 1, "")
    before, good = store.read_to(STREAM), Fetched(rows=[page], read_to=read_to, erased_to=read_to)
    with pytest.raises(Exception, match=r"Expected|Invalid|NANOARROW"):
        await store.commit(STREAM, replace(good, erasures=[b"no stream at all"]))
    await store.reload()
    assert (store.read_to(STREAM), await rows_in(store)) == (before, [])
    store._disk, disk = DiskSpace(str(tmp_path / "m.duckdb"), 2**62), store._disk
    with pytest.raises(StoreUnavailableError, match="reserved"):
        await store.commit(STREAM, good)
    store._disk = disk
    await store.commit(STREAM, good)
    await asyncio.to_thread(store.close)
    again = opened(str(tmp_path / "m.duckdb"), clock)
    assert (again.read_to(STREAM), await rows_in(again)) == (read_to, [{"id": "a"}])
    await asyncio.to_thread(again.close)


async def test_a_mirror_that_was_away_too_long_begins_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may have missed erasures: its file is emptied, with another generation, and the log says so."""
    clock, path = FakeClock(T0_US), str(tmp_path / "m.duckdb")
    settings = Settings().replace(
        backend="mirror", roles=("query",), mirror_url="http://127.0.0.1:9", data_path=path, retention_days=30
    )
    generations = []
    for away_days, rows in ((0, []), (29, [{"id": "a"}]), (31, [])):
        clock._now_us += away_days * DAY_US
        backend = open_backend(settings, (TABLE, rejects_table()), clock)
        store = backend.runner
        assert isinstance(store, MirrorStore)
        assert await rows_in(store) == rows
        generations.append(backend.eraser.generation)
        now = Position(clock.now_us(), "")
        page = [] if rows else [stream_of(TABLE, [row_of("a", clock.now_us() - 1, "k1")])]
        await store.commit(STREAM, Fetched(rows=page, read_to=now, erased_to=now))
        await backend.close()
    assert len(files_in(tmp_path)) == 2, "the old file is not kept"
    assert generations[0] == generations[1] < generations[2]
    assert "away for longer than erasures are kept" in caplog.text


async def test_the_file_of_another_service_is_left_alone(tmp_path: Path) -> None:
    """It has records, but no positions, or not all columns: the mirror does not start."""
    path, clock = str(tmp_path / "m.duckdb"), FakeClock(T0_US)
    settings = Settings().replace(backend="mirror", roles=("query",), mirror_url="http://127.0.0.1:9", data_path=path)
    store = opened(path, clock)
    fetched = Fetched(rows=[stream_of(TABLE, [row_of("a", T0_US, "k1")])], read_to=None)
    await store.commit(STREAM, fetched)
    await store.write(lambda connection: connection.execute("DROP TABLE sluice_mirror"))
    await asyncio.to_thread(store.close)
    later = msgspec.defstruct("Later", [("extra", str | None, None)], bases=(Whole,), forbid_unknown_fields=True)
    for record_type, words in ((Whole, "no mirror's file"), (later, "without extra: move the file away")):
        with pytest.raises(StoreError, match=words):
            open_backend(settings, (records_table(record_type), rejects_table()), clock)
    assert files_in(tmp_path) == ["m.duckdb"]


@pytest.mark.parametrize("name", ["rows", "erased"])
async def test_a_stream_may_have_any_name(name: str) -> None:
    """Also one that a statement might mean something else by."""
    table = records_table(Whole, name=name)
    stream = source_stream(table, is_named=True)
    store = MirrorStore.open(":memory:", (table, *TABLES[1:]), FakeClock(T0_US))
    assert store.begin("http://source", [stream], 400)
    rows = [stream_of(table, [row_of(each, T0_US, each) for each in "ab"])]
    await store.commit(stream, Fetched(rows=rows, read_to=None, erasures=[erasure("a", T0_US, T0_US + 1)]))
    assert await rows_in(store, name) == [{"id": "b"}]
    await asyncio.to_thread(store.close)


async def test_a_mirror_whose_source_was_away_too_long_takes_no_more_records(store: MirrorStore) -> None:
    """It may have missed erasures while it ran; one that is still empty has missed none."""
    clock = cast("FakeClock", store._clock)
    assert store.erased_to(STREAM).ingest_us < T0_US - 399 * DAY_US
    fetched = []
    for _ in range(3):
        clock._now_us += 401 * DAY_US
        now = Position(clock.now_us(), "")
        page = stream_of(TABLE, [row_of("a", now.ingest_us - 1, "k")])
        fetched.append(Fetched(rows=[page], read_to=now, erased_to=now))
    assert await store.commit(STREAM, fetched[0]) == 1
    with pytest.raises(StoreError, match="restart the mirror"):
        await store.commit(STREAM, fetched[2])


async def test_a_busy_source_is_asked_once_a_second(store: MirrorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many erasures are stored in pieces, so a failure loses few; one that missed some ends the process.

    Whether the source still fits is asked again later.
    """
    source, clock, commits, statuses = cast("Any", Source()), cast("FakeClock", store._clock), list[int](), list[int]()
    await store.commit(STREAM, Fetched(rows=[], read_to=Position(T0_US, ""), erased_to=Position(T0_US, "")))
    follower = Follower(store, source, STREAM, clock, commits.append)
    with pytest.raises(AssertionError):
        await follower.step()
    assert store.erased_to(STREAM) == Position(T0_US + 11, "")
    following = asyncio.create_task(follower.run())
    for second in range(3):
        while len(commits) <= second:
            await clock.advance(0)
        await asyncio.sleep(0.05)
        assert len(commits) == second + 1
        await clock.advance(1)
    monkeypatch.setattr(store, "commit", Mock(side_effect=MissedErasuresError))
    monkeypatch.setattr("os._exit", statuses.append)
    while not statuses:
        await clock.advance(1)
    assert set(statuses) == {2}
    following.cancel()
    monkeypatch.setattr("sluice.mirror.backend.check_source", checked := Mock())
    checking = asyncio.create_task(Mirror(store, "", "", [STREAM], clock)._keep_checking([follower]))
    while not checked.called:  # for an hour
        await clock.advance(30)
    checking.cancel()


def test_columns_that_only_the_source_has_do_no_harm() -> None:
    """A type that is stricter than the source's, another id, and what would be lost below a column do."""
    columns = (Column("id", "STRING", "REQUIRED"), Column("n", "INT64", "REQUIRED"), Column("more", "JSON"))
    there = TableSchema("/v1/records", columns, "records", "id")

    class Small(msgspec.Struct, forbid_unknown_fields=True):
        id: Annotated[str, Meta(extra={"sluice": ["id"]})]
        n: int | None = None

    declared = replace(records_table(Small), envelope=())
    assert differences(declared, there) == []
    assert differences(declared, replace(there, sequence="n")) == ["sequence is n at the source, and no field here"]
    assert differences(declared, replace(there, name="n")) == ["its name is n at the source, and records here"]
    assert len(differences(replace(declared, retention_days=9), replace(there, retention_days=8))) == 1
    loose = (Column("id", "STRING"), Column("n", "STRING"), Column("id.part", "STRING"))
    assert differences(declared, replace(there, columns=loose)) == [
        "id is NULLABLE STRING at the source, and REQUIRED STRING here",
        "n is NULLABLE STRING at the source, and NULLABLE INT64 here",
        "id.part is not declared here",
    ]
    assert differences(declared, replace(there, columns=columns[:1])) == ["the source has no n"]
