"""What the embedded store remembers about its rows: which of them are copies, and in which minutes an id has rows.

Finding the copies of a range took most of the time of a count, of statistics and of a long page, and DuckDB has to
read every id of a range to find one. Both indexes live in an in-memory database that is attached to the file. They are
built in the background, newest rows first, and lost when the process ends. A query of a range that they do not cover
reads the table instead, so they affect no answer.
"""

import asyncio
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.runtime.instants import MAX_US, MINUTE_US
from app.runtime.time_range import TimeRange
from app.schema.columns import Column
from app.schema.table import Table
from app.stores.duckdb.table_layout import duckdb_type, quote

DATABASE = "sluice_index"
_CHUNK_ROWS = 100_000  # scanned in 20 ms
_WORTH_ROWS = 20_000  # fewer new rows are left for the next query that needs them
_MAX_COPIES = 1_000_000  # of one table: 80 MiB
ID_BYTES = 8  # of one row in the index of ids
_MAX_MINUTE = 2**31 - 1
Run = Callable[[str, Mapping[str, Any]], Awaitable[list[tuple[Any, ...]]]]
"""Runs a statement in DuckDB's dialect, and returns its rows."""
_RANGE = "ingest_time >= make_timestamp($from_us::BIGINT) AND ingest_time < make_timestamp($to_us::BIGINT)"


def index_ddl(table: Table) -> list[str]:
    """Return the statements that create the index's empty tables for `table`, in an attached database."""
    columns = {
        _copies(table): "ingest_time TIMESTAMP, delivery_key VARCHAR",
        _ids(table): "hash UINTEGER, minute INTEGER",
    }
    return [f"CREATE OR REPLACE TABLE {name} ({described})" for name, described in columns.items()]


def _copies(table: Table) -> str:
    return f"{DATABASE}.{quote(f'{table.name}_copies')}"


def _ids(table: Table) -> str:
    return f"{DATABASE}.{quote(f'{table.name}_ids')}"


class _Index(ABC):
    """An index of the rows of one table that are stamped before its horizon.

    It covers ranges of time, of which nothing changes but by a deletion.
    """

    def __init__(self, run: Run, table: Table, horizon_us: Callable[[], int]) -> None:
        self._run, self._table, self._horizon_us = run, table, horizon_us
        self._name = quote(table.name)
        self._scanning = asyncio.Lock()
        self.coverage = Coverage()
        self._floor_us = 0
        """What is older is not indexed: it would need too much memory."""

    @abstractmethod
    async def _scan(self, from_us: int, to_us: int) -> None:
        """Index a range of rows, and cover it."""

    async def step(self) -> bool:
        """Cover the newest chunk of rows that is worth a scan; return False if there is none.

        Raises:
            QueryError: the store gave no answer.
        """
        async with self._scanning:
            horizon_us = self._horizon_us()
            for gap in reversed(self.coverage.gaps(self._floor_us, horizon_us)):
                from_us, to_us = gap.from_us, gap.to_us
                count, oldest_us = await self._counted(from_us, to_us)
                if not count:
                    self.coverage.add(from_us, to_us)
                elif to_us < horizon_us or from_us == self._floor_us or count >= _WORTH_ROWS:
                    begin_us = await self._begin_of_chunk(max(from_us, oldest_us), to_us, count)
                    await self._scan(from_us if begin_us <= oldest_us else begin_us, to_us)
                    return True
        return False

    async def cover(self, from_us: int, to_us: int) -> None:
        """Cover a range if only a chunk of it is left.

        Raises:
            QueryError: the store gave no answer.
        """
        if to_us > self._horizon_us() or from_us < self._floor_us or self.coverage.covers(from_us, to_us):
            return
        async with self._scanning:
            gaps = self.coverage.gaps(from_us, to_us)
            counts = [(await self._counted(gap.from_us, gap.to_us))[0] for gap in gaps[:2]]
            if len(gaps) == len(counts) and sum(counts) <= 2 * _CHUNK_ROWS:
                for gap in gaps:
                    await self._scan(gap.from_us, gap.to_us)

    async def _counted(self, from_us: int, to_us: int) -> tuple[int, int]:
        sql = f"SELECT count(*), epoch_us(min(ingest_time)) FROM {self._name} WHERE {_RANGE}"  # noqa: S608 - a quoted name
        ((count, oldest_us),) = await self._run(sql, {"from_us": from_us, "to_us": to_us})
        return count, oldest_us or 0

    async def _begin_of_chunk(self, oldest_us: int, to_us: int, count: int) -> int:
        """Return where a chunk up to `to_us` begins, if `count` rows are spread over the time since `oldest_us`."""
        width_us = to_us - oldest_us
        if count > 2 * _CHUNK_ROWS:
            width_us = width_us * _CHUNK_ROWS // count
            while width_us > 1 and (await self._counted(to_us - width_us, to_us))[0] > 2 * _CHUNK_ROWS:
                width_us //= 2
        return to_us - max(width_us, 1)


class CopyIndex(_Index):
    """The positions of the rows that are copies, for queries with a look-back of `lookback_us`."""

    def __init__(self, run: Run, table: Table, horizon_us: Callable[[], int], lookback_us: int) -> None:
        super().__init__(run, table, horizon_us)
        self.lookback_us, self.generation = lookback_us, 0
        """`generation` changes with every deletion."""
        self._deletions = 0  # in progress
        self._stamps_us = array("q")
        self._twins_us = array("q")

    def listed(self, from_us: int, to_us: int) -> str | None:
        """Return the name, in BigQuery's dialect, of a table that lists the copies of a range; "" if there are none.

        None: they are not known. Of rows that are equal in key and stamp one is no copy, but a position names them all.
        """
        if not self.coverage.covers(from_us, to_us) or _some_between(self._twins_us, from_us, to_us):
            return None
        return f"`{DATABASE}`.`{self._table.name}_copies`" if _some_between(self._stamps_us, from_us, to_us) else ""

    def forget(self, first_us: int, last_us: int) -> None:
        """Forget the rows whose status may change while rows stamped in [first_us, last_us] are deleted.

        Nothing is covered again until `deleted` is called.
        """
        self.generation += 1
        self._deletions += 1
        self.coverage.remove(first_us, min(last_us + self.lookback_us + 1, MAX_US))

    def deleted(self) -> None:
        """End what `forget` has begun."""
        self._deletions -= 1

    async def _scan(self, from_us: int, to_us: int) -> None:
        generation, bounds = self.generation, {"from_us": from_us, "to_us": to_us}
        sql = f"""\
SELECT epoch_us(fresh.ingest_time) AS stamp_us, fresh.delivery_key, bool_or(earlier.ingest_time = fresh.ingest_time)
FROM {self._name} AS fresh
JOIN {self._name} AS earlier ON earlier.delivery_key = fresh.delivery_key
WHERE fresh.{_RANGE.replace("AND ", "AND fresh.")}
  AND earlier.{_RANGE.replace("AND ", "AND earlier.").replace("$from_us", "$earliest_us")}
  AND earlier.ingest_time <= fresh.ingest_time
  AND earlier.ingest_time >= fresh.ingest_time - to_microseconds($lookback_us::BIGINT)
  AND earlier.rowid <> fresh.rowid
GROUP BY ALL ORDER BY stamp_us"""  # noqa: S608 - a quoted name
        earliest = {"earliest_us": max(from_us - self.lookback_us, 0), "lookback_us": self.lookback_us}
        entries = await self._run(sql, bounds | earliest)
        await self._list(from_us, to_us, entries)
        if generation == self.generation and not self._deletions:  # else the scan may have read what is deleted by now
            self.coverage.add(from_us, to_us)
        if len(self._stamps_us) > _MAX_COPIES:
            self._floor_us = self._stamps_us[len(self._stamps_us) // 4]
            self.coverage.remove(0, self._floor_us)
            await self._list(0, self._floor_us, [])

    async def _list(self, from_us: int, to_us: int, entries: list[tuple[Any, ...]]) -> None:
        """List the copies of a range: their stamps, their keys, and whether they are equal to another row in both."""
        name, bounds = _copies(self._table), {"from_us": from_us, "to_us": to_us}
        await self._run(f"DELETE FROM {name} WHERE {_RANGE}", bounds)  # noqa: S608 - a quoted name
        if entries:
            sql = f"INSERT INTO {name} SELECT make_timestamp(unnest($us::BIGINT[])), unnest($keys)"
            await self._run(sql, {"us": [us for us, _, _ in entries], "keys": [key for _, key, _ in entries]})
        _replace_between(self._stamps_us, from_us, to_us, [us for us, _, _ in entries])
        _replace_between(self._twins_us, from_us, to_us, [us for us, _, is_twin in entries if is_twin])


class IdIndex(_Index):
    """The minutes in which an id has rows, of at most `max_rows` rows, by a hash of the id."""

    def __init__(self, run: Run, table: Table, column: Column, horizon_us: Callable[[], int], max_rows: int) -> None:
        super().__init__(run, table, horizon_us)
        self._column, self._type = quote(column.name), duckdb_type(column)
        self._max_rows, self._rows = max_rows, 0

    async def minutes(self, record_id: str | int, from_us: int, to_us: int, limit: int) -> list[int]:
        """Return the last minutes of a range in which the id may have rows, newest first, one more than `limit`."""
        sql = (
            f"SELECT DISTINCT minute FROM {_ids(self._table)} WHERE hash = {_hash(f'$id::{self._type}')} "  # noqa: S608 - a name
            "AND minute >= $first AND minute <= $last ORDER BY minute DESC LIMIT $limit"
        )
        bounds = {"first": from_us // MINUTE_US, "last": min(to_us // MINUTE_US, _MAX_MINUTE)}
        return [minute for (minute,) in await self._run(sql, {"id": record_id, "limit": limit + 1, **bounds})]

    async def prune(self, before_us: int) -> None:
        """Remove the rows stamped before an instant, because they have been deleted."""
        await self._run(
            f"DELETE FROM {_ids(self._table)} WHERE minute < $minute",  # noqa: S608 - a quoted name
            {"minute": max(before_us, 0) // MINUTE_US},
        )
        ((self._rows,),) = await self._run(f"SELECT count(*) FROM {_ids(self._table)}", {})  # noqa: S608 - likewise

    async def _scan(self, from_us: int, to_us: int) -> None:
        sql = f"""\
INSERT INTO {_ids(self._table)}
SELECT {_hash(self._column)}, (epoch_us(ingest_time) // {MINUTE_US})::INTEGER
FROM {self._name}
WHERE {_RANGE}"""  # noqa: S608 - a quoted name
        ((count,),) = await self._run(sql, {"from_us": from_us, "to_us": to_us})
        self._rows += count
        self.coverage.add(from_us, to_us)
        if self._rows > self._max_rows:
            ((minute,),) = await self._run(f"SELECT quantile_disc(minute, 0.25) FROM {_ids(self._table)}", {})  # noqa: S608 - likewise
            self._floor_us = minute * MINUTE_US
            self.coverage.remove(0, self._floor_us)
            await self.prune(self._floor_us)


def _hash(value: str) -> str:
    return f"(hash({value}) & 4294967295)::UINTEGER"


def _some_between(stamps_us: "array[int]", from_us: int, to_us: int) -> bool:
    at = bisect_left(stamps_us, from_us)
    return at < len(stamps_us) and stamps_us[at] < to_us


def _replace_between(stamps_us: "array[int]", from_us: int, to_us: int, new_us: list[int]) -> None:
    stamps_us[bisect_left(stamps_us, from_us) : bisect_left(stamps_us, to_us)] = array("q", new_us)


class Coverage:
    """A set of instants (microseconds), as disjoint ranges [from_us, to_us) in ascending order."""

    def __init__(self) -> None:
        self._edges: list[int] = []
        """The beginning and end of each range in turn, so an instant is covered if an odd number are at or before it.
        """

    def add(self, from_us: int, to_us: int) -> None:
        """Cover a range."""
        self._replace(from_us, to_us, is_covered=True)

    def remove(self, from_us: int, to_us: int) -> None:
        """Cover a range no longer."""
        self._replace(from_us, to_us, is_covered=False)

    def _replace(self, from_us: int, to_us: int, *, is_covered: bool) -> None:
        if from_us >= to_us:
            return
        first, beyond = bisect_left(self._edges, from_us), bisect_right(self._edges, to_us)
        edges = [from_us] if first % 2 != is_covered else []
        edges += [to_us] if beyond % 2 != is_covered else []
        self._edges[first:beyond] = edges

    def covers(self, from_us: int, to_us: int) -> bool:
        """Return whether every instant of a range is covered."""
        return not self.gaps(from_us, to_us)

    def gaps(self, from_us: int, to_us: int) -> list[TimeRange]:
        """Return the ranges within a range that are not covered, in ascending order."""
        inside = [edge for edge in self._edges if from_us < edge < to_us]
        edges = [from_us, *inside, to_us]
        is_covered = bisect_right(self._edges, from_us) % 2 == 1
        parts = (TimeRange(*edges[at : at + 2]) for at in range(is_covered, len(edges) - 1, 2))
        return [part for part in parts if part.length_us > 0]
