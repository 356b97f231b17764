"""The error matrix: a table that lacks an optional column, and gets it while the service runs."""

import msgspec
import pytest

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import ColumnsPending, SetupError, SinkState
from tests.stores.bigquery.rig import RECORDS, Rig, rigged

LACKING = frozenset({"source"})
PENDING = ColumnsPending(LACKING, "records lacks source")


async def lacking(rig: Rig) -> None:
    """Let the table lack the column `source`, and the service see it."""
    rig.table, rig.server.lacks = PENDING, LACKING
    rig.writer.record_check(await rig.appender.check())


def sources(rig: Rig) -> dict[str, str | None]:
    """Return the column `source` of the stored rows, by id."""
    return {row["id"]: row.get("source") for row in rig.server.shelf.rows()}


async def test_only_rows_that_use_a_missing_column_wait(rig: Rig) -> None:
    """Messages of one batch: 204 for those without it, 503 for those with it; nothing is rejected or refused."""
    await lacking(rig)
    messages = rig.send("a"), rig.send("new"), rig.send("b", "b1", "new2"), rig.send("c")
    told = await rig.told(*messages)
    assert [told[0], told[3]] == [Durable(), Durable()]
    waits = [each for each in told[1:3] if isinstance(each, Unavailable)]
    assert [each.retry_after_s for each in waits] == [30, 30]
    assert rig.stored == {"a": 1, "c": 1}
    assert len(rig.server.arrivals) == 1
    assert rig.stands() is SinkState.COLUMNS_PENDING
    assert rig.writer.health.pause() is None


async def test_a_column_that_was_added_is_used_without_a_restart(rig: Rig) -> None:
    """The next check finds it: ACTIVE, a fresh connection with the whole schema, and the waiting row is stored."""
    await lacking(rig)
    row = rig.row("new", 0, "new", 0)
    await rig.told(rig.send("a"), rig.send("new"))
    rig.table, rig.server.lacks = None, frozenset()
    rig.writer.record_check(await rig.appender.check())
    assert rig.stands() is SinkState.ACTIVE
    assert rig.row("new", 0, "new", 0) == row, "the bytes of a row do not depend on the table"
    assert await rig.told(rig.send("new"), rig.send("b")) == [Durable(), Durable()]
    assert sources(rig) == {"a": None, "new": "new", "b": None}
    assert [arrival.connection for arrival in rig.server.arrivals] == [1, 2]


async def test_a_table_that_loses_a_column_mid_run_holds_only_rows_that_use_it(rig: Rig) -> None:
    """It was recreated from an older schema: one append is refused, checked, and sent again without the column."""
    assert await rig.told(rig.send("new1")) == [Durable()]
    rig.table, rig.server.lacks = PENDING, LACKING
    await rig.clock.advance(1)
    told = await rig.told_later(rig.send("a"), rig.send("new2"))
    assert told[0] == Durable()
    assert isinstance(told[1], Unavailable)
    assert rig.stands() is SinkState.COLUMNS_PENDING
    assert rig.rejected == []
    assert sources(rig) == {"new1": "new1", "a": None}
    assert [arrival.connection for arrival in rig.server.arrivals] == [1, 1, 2]


async def test_append_servers_that_do_not_know_a_new_column_yet_stop_nothing(rig: Rig) -> None:
    """The REST API shows it minutes earlier: rows that use it wait until it goes through, others are stored."""
    await lacking(rig)
    await rig.told(rig.send("a"))
    rig.table = None
    rig.writer.record_check(await rig.appender.check())
    told = await rig.told_later(rig.send("b"), rig.send("new1"))
    assert told[0] == Durable()
    assert isinstance(told[1], Unavailable)
    assert rig.stands() is SinkState.COLUMNS_PENDING
    for _ in range(2):  # a check tries the column again, with the next append
        rig.writer.record_check(await rig.appender.check())
        assert rig.stands() is SinkState.COLUMNS_PENDING
        assert await rig.told_later(rig.send("c")) == [Durable()]
    rig.server.lacks = frozenset()
    rig.writer.record_check(await rig.appender.check())
    assert await rig.told_later(rig.send("new1")) == [Durable()]
    rig.writer.record_check(await rig.appender.check())
    assert rig.stands() is SinkState.ACTIVE
    assert sources(rig)["new1"] == "new1"


@pytest.mark.parametrize("look_takes_s", [0.0, 5.0])
async def test_a_row_refused_for_a_column_before_the_first_look_is_no_reject(rig: Rig, look_takes_s: float) -> None:
    """Nothing has shown yet that the table lacks it: its message waits for the look, and then for the column."""
    rig.table, rig.server.lacks, rig.server.names_rows = PENDING, LACKING, True
    rig.look_takes_s = look_takes_s
    told = await rig.told_later(rig.send("a"), rig.send("new"))
    assert told[0] == Durable()
    assert isinstance(told[1], Unavailable)
    assert rig.rejected == []
    assert rig.stands() is SinkState.COLUMNS_PENDING


@pytest.mark.parametrize("look", [None, SetupError(SinkState.UNREACHABLE, "no answer")], ids=["shown", "no answer"])
async def test_a_row_refused_for_a_column_that_a_look_shows_waits_for_it(rig: Rig, look: SetupError | None) -> None:
    """The append servers know of it later than the REST API: the column is left out until it goes through."""
    rig.writer.record_check(await rig.appender.check())
    assert await rig.told(rig.send("a")) == [Durable()]
    rig.server.lacks, rig.server.names_rows, rig.table = LACKING, True, look
    await rig.clock.advance(20)
    told = await rig.told_later(rig.send("b"), rig.send("new1"))
    assert told[0] == Durable()
    assert isinstance(told[1], Unavailable)
    assert rig.rejected == []
    assert rig.stands() is SinkState.COLUMNS_PENDING
    rig.server.lacks, rig.table = frozenset(), None
    rig.writer.record_check(await rig.appender.check())
    assert await rig.told_later(rig.send("new1")) == [Durable()]
    assert sources(rig)["new1"] == "new1"


async def test_the_service_s_own_rows_are_stored_without_a_missing_column() -> None:
    """A reject that waited would hold up the message whose good rows are stored: the table of rejects omits it."""
    async with rigged(table=msgspec.structs.replace(RECORDS, may_omit=True)) as rig:
        await lacking(rig)
        assert await rig.told(rig.send("a"), rig.send("new")) == [Durable(), Durable()]
        assert sources(rig) == {"a": None, "new": None}
        assert rig.stands() is SinkState.COLUMNS_PENDING
