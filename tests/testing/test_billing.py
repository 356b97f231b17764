"""The model of a bill: each rule changes what it should, and nothing else does."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from app.record import Record
from app.runtime.instants import HOUR_US, MINUTE_US, SECOND_US
from app.schema.columns import Kind
from app.schema.table import records_table
from app.stores.query import Condition, Export, LookUp, Query, RowQuery
from app.stores.source import QueryTooExpensiveError
from app.stores.sql.statement import Statement, render
from sluice.testing.clock import FakeClock
from tests.support.billing.bill import LEAST_BYTES, Contents, Layout, billed_bytes, references, upper_bound
from tests.support.billing.store import COLUMN_BYTES, BilledStore

RECORDS = records_table(Record)
NOON_US = 1_767_268_800_000_000
NOW_US = NOON_US + HOUR_US // 2
ROW = sum(COLUMN_BYTES.values())
CONTENTS = Contents(rows_per_s=1_000, column_bytes=COLUMN_BYTES, begins_us=NOON_US - 48 * HOUR_US)
SETTLED = Layout(fresh_s=0.0)
EVERYTHING = tuple(column.name for column in RECORDS.columns)
OLD_US = NOON_US - 24 * HOUR_US


def page(from_us: int = OLD_US, to_us: int = OLD_US + MINUTE_US, **changed: Any) -> RowQuery:
    """Return the query of a page of a minute of yesterday."""
    query = RowQuery(
        table="records",
        from_us=from_us,
        to_us=to_us,
        lookback_us=900 * SECOND_US,
        columns=EVERYTHING,
        limit=10,
        candidates=20,
    )
    return msgspec.structs.replace(query, **changed)


def export(from_us: int = OLD_US, to_us: int = OLD_US + MINUTE_US, columns: tuple[str, ...] = EVERYTHING) -> Export:
    """Return the query of an export."""
    return Export(table="records", from_us=from_us, to_us=to_us, lookback_us=900 * SECOND_US, columns=columns)


def look_up(hours: int) -> LookUp:
    """Return the query of a look-up of a day ago, over so many hours."""
    return LookUp(
        table="records",
        from_us=OLD_US,
        to_us=OLD_US + hours * HOUR_US,
        lookback_us=0,
        columns=EVERYTHING,
        id_column="id",
        record_id="a",
        limit=1,
    )


def billed(query: Query, layout: Layout = SETTLED) -> float:
    """Return the bill in megabytes."""
    return billed_bytes(render(query), CONTENTS, layout, NOW_US) / 1e6


HOUR_MB = 3_600 * 1_000 * ROW / 1e6
KEYS_MB = 3_600 * 1_000 * (COLUMN_BYTES["delivery_key"] + COLUMN_BYTES["ingest_time"]) / 1e6


def test_a_statement_names_its_tables_columns_and_bounds() -> None:
    """A page names its candidates twice, and the keys of the look-back once."""
    found = sorted(references(render(page()), frozenset(COLUMN_BYTES)), key=lambda each: each.times)
    assert [(each.times, each.table, len(each.columns)) for each in found] == [
        (1, "records", 2),
        (2, "records", len(EVERYTHING)),
    ]
    keys, rows = found
    assert keys.columns == {"delivery_key", "ingest_time"}
    assert (keys.from_us, keys.to_us) == (OLD_US - 900 * SECOND_US, OLD_US + MINUTE_US)
    assert (rows.from_us, rows.to_us) == (OLD_US, OLD_US + MINUTE_US)


def test_a_minute_costs_its_hour_where_rows_are_clustered_by_id() -> None:
    """All columns twice, or once where a subquery is evaluated once; and the keys of that hour and the one before."""
    assert billed(page()) == pytest.approx(2 * HOUR_MB + 2 * KEYS_MB)
    once = msgspec.structs.replace(SETTLED, reads_twice=False)
    assert billed(page(), once) == pytest.approx(HOUR_MB + 2 * KEYS_MB)
    assert billed(export()) == pytest.approx(HOUR_MB + 2 * KEYS_MB)


def test_a_column_that_is_not_named_costs_nothing() -> None:
    """Conditions name columns, too."""
    few = ("ingest_time", "delivery_key")
    assert billed(export(columns=few)) == pytest.approx(3 * KEYS_MB)
    only = (Condition("source", (), "eq", Kind.STRING, ("a",)),)
    filtered = msgspec.structs.replace(export(columns=few), conditions=only)
    source_mb = 3_600_000 * COLUMN_BYTES["source"] / 1e6
    assert billed(filtered) == pytest.approx(3 * KEYS_MB + source_mb)


def test_partitions_are_read_from_their_beginning_to_their_end() -> None:
    """A microsecond of the next hour costs that hour; before the first row there is nothing."""
    whole = billed(export(OLD_US, OLD_US + HOUR_US))
    assert whole == pytest.approx(HOUR_MB + 2 * KEYS_MB)
    assert billed(export(OLD_US, OLD_US + HOUR_US + 1)) == pytest.approx(2 * HOUR_MB + 3 * KEYS_MB)
    assert billed(export(0, MINUTE_US)) == LEAST_BYTES / 1e6


@pytest.mark.parametrize("block_mb", [1, 64])
def test_clustered_by_time_a_minute_costs_its_blocks(block_mb: int) -> None:
    """Its edges lie within blocks."""
    layout = Layout(clustered_by="ingest_time", fresh_s=0.0, block_bytes=block_mb * 1_000_000)
    minute_mb, keys_mb = 60_000 * ROW / 1e6, 960_000 * 46 / 1e6
    found = billed(export(), layout)
    assert minute_mb + keys_mb <= found <= minute_mb + keys_mb + 4 * block_mb


def test_fresh_rows_are_read_whatever_clusters_the_table() -> None:
    """They are not clustered yet; a query of yesterday does not touch them."""
    layout = Layout(clustered_by="ingest_time", fresh_s=600.0, block_bytes=1_000_000)
    newest = export(NOW_US - 5 * SECOND_US, NOW_US)
    ten_minutes_mb = 600_000 * ROW / 1e6
    assert billed(newest, layout) > ten_minutes_mb
    assert billed(newest, msgspec.structs.replace(layout, fresh_s=0.0)) < ten_minutes_mb / 5
    assert billed(export(), layout) == billed(export(), msgspec.structs.replace(layout, fresh_s=0.0))


def test_an_id_costs_a_block_of_each_hour_where_rows_are_clustered_by_it() -> None:
    """Clustered by time it costs everything, unless an index finds it."""
    assert billed(look_up(10)) == pytest.approx(10 * 64, rel=0.01)
    by_time = Layout(clustered_by="ingest_time", fresh_s=0.0)
    assert billed(look_up(10), by_time) == pytest.approx(10 * HOUR_MB, rel=0.05)
    assert billed(look_up(10), msgspec.structs.replace(by_time, id_index=True)) == pytest.approx(64, rel=0.01)


def test_a_table_costs_ten_megabytes_at_least() -> None:
    """Each table that a statement names."""
    tiny = Contents(rows_per_s=0.001, column_bytes=COLUMN_BYTES, begins_us=0)
    assert billed_bytes(render(page()), tiny, SETTLED, NOW_US) == LEAST_BYTES


def test_the_upper_bound_knows_nothing_of_clusters() -> None:
    """A look-up that costs ten blocks may be refused for ten hours."""
    found = upper_bound(render(look_up(10)), CONTENTS, NOW_US) / 1e6
    assert found == pytest.approx(10 * HOUR_MB, rel=0.01)


def _queries() -> Iterator[tuple[Query, int]]:
    for descending in (False, True):
        yield page(descending=descending), 10
        yield page(NOW_US - SECOND_US // 100, NOW_US + HOUR_US, descending=descending), 10
        yield page(0, MINUTE_US, descending=descending), 0


@pytest.mark.parametrize(("query", "count"), [*_queries()])
async def test_rows_are_made_as_they_are_asked_for(query: RowQuery, count: int) -> None:
    """In order, within the range and the limit, a millisecond apart; and billed."""
    clock = FakeClock(NOW_US)
    limit = 100 * 10**9
    store = BilledStore(
        RECORDS, clock, SETTLED, rows_per_s=1_000, age_s=48 * 3_600, page_limit=limit, look_up_limit=limit
    )
    answer = await store.rows(query)
    instants = [row["ingest_time"] for row in answer.rows]
    assert len(instants) == count
    assert instants == sorted(instants, reverse=query.descending)
    assert {abs(late - early).total_seconds() for early, late in pairwise(instants)} <= {0.001}
    expected = billed_bytes(render(query), store.contents, SETTLED, NOW_US)
    assert store.billed == answer.bytes_processed == pytest.approx(expected)  # the clock has moved on


async def test_the_store_refuses_what_exceeds_the_limit() -> None:
    """As BigQuery does: before it costs anything. What is short has no limit until it has cost too much."""
    store = BilledStore(
        RECORDS, FakeClock(NOW_US), SETTLED, rows_per_s=1_000, age_s=1e6, page_limit=10**9, look_up_limit=10**9
    )
    with pytest.raises(QueryTooExpensiveError):
        await store.rows(page(to_us=OLD_US + HOUR_US))
    assert (store.billed, store.queries) == (0, 0)
    assert (await store.rows(page())).bytes_processed > 10**9  # type: ignore[operator] # it says so
    with pytest.raises(QueryTooExpensiveError):
        await store.rows(page())


def test_a_statement_without_bounds_reads_the_whole_table() -> None:
    """The model guesses nothing."""
    statement = Statement(sql="SELECT `id` FROM `records`", parameters={})
    (found,) = references(statement, frozenset(COLUMN_BYTES))
    assert (found.columns, found.by_id) == (frozenset({"id"}), False)
    everything = billed_bytes(statement, CONTENTS, SETTLED, NOW_US)
    assert everything == round(CONTENTS.rows(0, NOW_US) * COLUMN_BYTES["id"])
