"""What a page of the feed costs over a million rows in the embedded store, and by which query.

    feed    `app.query.feed.Feed`, as the service reads
    number  the shorter query that numbers every row of the look-back (docs/decisions/0004-what-a-copy-is.md)
    scan    the ceiling: the store hands out the page's own rows, whose place is known beforehand

The rows lie in two layouts: all within ten minutes, stored in batches of fifty, and spread over thirty days, one
by one; one in a thousand is a copy. Each contender is a fresh process that reads at the same random places; the order
alternates over the rounds, and what counts is the ratio to `feed` in the same round. The answers are compared.
Writes bench/results/feed_pages.json.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from app.clock import SystemClock
from app.embedded import EmbeddedStore
from app.epoch import epoch_us
from app.query.cursor import Cursor, Position, encode_cursor
from app.query.feed import Feed
from app.query.instants import DAY_US, SECOND_US
from app.query.pages import Pages
from app.query.params.page import Now, PageRequest, Window
from app.query.reads import Reads
from app.query.retrieval import View
from app.query.runner import Query, Scalar
from app.query.slices import feed_slices
from app.settings import Settings
from bench.embedded.feed_rows import LAYOUTS, RECORDS, ROWS, START_US, Layout, build
from bench.machine import machine
from bench.places import RESULTS, ROOT

RESULT = RESULTS / "feed_pages.json"
CONTENDERS = ("feed", "number", "scan")
SETTINGS = Settings()
LOOKBACK_US = round(SETTINGS.dedupe_lookback_s * SECOND_US)
LOOK_UP = "look_up"
Read = Callable[[], Awaitable[list[Any]]]
_VIEW = View(RECORDS.columns)
_COLUMNS = ", ".join(f"`{column.name}`" for column in RECORDS.columns)


class Shape(msgspec.Struct, frozen=True):
    """What is read, and how often per round: by `feed`, and by the others, at the first of its places."""

    limit: int
    descending: bool
    times: int
    times_of_others: int


SHAPES = {
    "page_of_100_asc": Shape(100, descending=False, times=40, times_of_others=8),
    "page_of_100_desc": Shape(100, descending=True, times=40, times_of_others=8),
    "page_of_1000_asc": Shape(1_000, descending=False, times=20, times_of_others=4),
}
LOOK_UPS = 30


def number_sql(*, descending: bool) -> str:
    """Return the query that `number` stands for, with the parameters of `app.query.sql.pages.page_sql`."""
    direction, beyond = (" DESC", "<") if descending else ("", ">")
    previous = "LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`)"
    return f"""\
WITH original AS (
  SELECT {_COLUMNS}
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us AND `ingest_time` < @to_us
  QUALIFY {previous} IS NULL OR {previous} < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
)
SELECT {_COLUMNS}
FROM original
WHERE `ingest_time` >= @from_us
  AND (`ingest_time` {beyond} @after_us OR (`ingest_time` = @after_us AND `delivery_key` {beyond} @after_key))
ORDER BY `ingest_time`{direction}, `delivery_key`{direction}
LIMIT @row_limit
"""  # noqa: S608 - the declaration's own names


class Reader:
    """Reads one file in each contender's way."""

    def __init__(self, path: str, layout: Layout) -> None:
        self._store = EmbeddedStore.open(path, [RECORDS], SystemClock())
        self._connection = duckdb.connect(path)
        self._window = Window(START_US, START_US + layout.span_us)
        self._clock = SystemClock()
        self._feed = Feed(self._store, RECORDS, lookback_s=SETTINGS.dedupe_lookback_s)
        self._pages = Pages(self._feed, SETTINGS, self._clock, Reads(self._clock))

    def places(self, shape: Shape, seed: str) -> list[Position]:
        """Return random rows to read on from, none so near the end that the page would be short."""
        margin = shape.limit * 2
        chosen = random.Random(seed).sample(range(margin, ROWS - margin), shape.times)
        sql = "SELECT epoch_us(ingest_time), delivery_key FROM records WHERE rowid = ?"
        return [Position(*self._connection.execute(sql, [row]).fetchall()[0]) for row in chosen]

    def ids(self, seed: str) -> list[str]:
        """Return random ids that are there."""
        chosen = random.Random(seed).sample(range(ROWS), LOOK_UPS)
        sql = "SELECT id FROM records WHERE rowid = ?"
        return [self._connection.execute(sql, [row]).fetchall()[0][0] for row in chosen]

    async def feed(self, shape: Shape, after: Position) -> list[Any]:
        """Read the page behind `after` as the service does."""
        cursor = Cursor(
            table=RECORDS.name,
            descending=shape.descending,
            since_us=self._window.since_us,
            until_us=self._window.until_us,
            after=after,
        )
        request = PageRequest(since_us=0, cursor=encode_cursor(cursor), limit=shape.limit)
        now = Now(self._window.until_us, self._window.until_us, self._window.until_us)
        return (await self._pages.page(request, _VIEW, now, lambda _: None)).rows

    async def number(self, shape: Shape, after: Position) -> list[Any]:
        """Read it with the shorter query, over the same slices."""
        since_us, until_us = self._window.since_us, self._window.until_us
        ahead = (since_us, after.ingest_us + 1) if shape.descending else (after.ingest_us, until_us)
        rows: list[Any] = []
        wanted = shape.limit + 1
        for part in feed_slices(*ahead, descending=shape.descending, first_us=EmbeddedStore.first_slice_us):
            parameters: dict[str, Scalar] = {
                "from_us": part.from_us,
                "to_us": part.to_us,
                "lookback_from_us": part.from_us - LOOKBACK_US,
                "lookback_micros": LOOKBACK_US,
                "row_limit": wanted - len(rows),
                "after_us": after.ingest_us,
                "after_key": after.delivery_key,
            }
            query = Query(sql=number_sql(descending=shape.descending), parameters=parameters)
            rows += (await self._store.rows(query)).rows
            if len(rows) == wanted:
                break
        return rows[: shape.limit]

    async def look_up(self, record_id: str) -> list[Any]:
        """Read the latest version of a record, in the window that the service looks in."""
        until_us = self._window.until_us
        window = Window(until_us - SETTINGS.retention_days * DAY_US, until_us)
        return await self._feed.versions(record_id, window, _VIEW, 1)

    async def scan(self, shape: Shape, after: Position) -> Read:
        """Have the store hand out as many rows of the page's range of stamps, in any order and just as they are."""
        page = [epoch_us(row["ingest_time"]) for row in await self.feed(shape, after)]
        sql = (
            "SELECT * FROM records WHERE ingest_time >= make_timestamp($first_us::BIGINT) "
            "AND ingest_time <= make_timestamp($last_us::BIGINT) LIMIT $limit"
        )
        parameters = {"first_us": min(page), "last_us": max(page), "limit": shape.limit}

        async def read() -> list[Any]:
            return self._connection.execute(sql, parameters).fetchall()

        return read


async def measure_here(contender: str, path: str, layout: Layout, seed: str) -> dict[str, Any]:
    """Measure one contender in this process: of each reading, the ms it took and a checksum of what was read."""
    reader = Reader(path, layout)
    found: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        places = reader.places(shape, seed)
        if contender == "feed":
            reads: list[Read] = [partial(reader.feed, shape, place) for place in places]
        elif contender == "number":
            reads = [partial(reader.number, shape, place) for place in places[: shape.times_of_others]]
        else:
            reads = [await reader.scan(shape, place) for place in places[: shape.times_of_others]]
        found[name] = await timed(reads, shape.limit)
    if contender == "feed":
        found[LOOK_UP] = await timed([partial(reader.look_up, record_id) for record_id in reader.ids(seed)], 1)
    return found


async def timed(reads: list[Read], expected: int) -> dict[str, list[Any]]:
    """Run each of `reads`, and the first of them once more beforehand, which prepares the query."""
    await reads[0]()
    taken_ms, checksums = [], []
    for read in reads:
        started = time.perf_counter()
        rows = await read()
        taken_ms.append(round((time.perf_counter() - started) * 1_000, 3))
        if len(rows) != expected:
            raise SystemExit(f"{len(rows)} rows were read, expected {expected}")
        checksums.append(zlib.crc32(repr([_place(row) for row in rows]).encode()))
    return {"ms": taken_ms, "checksums": checksums}


def _place(row: Any) -> Any:
    return (row["ingest_time"], row["delivery_key"]) if isinstance(row, dict) else None


def measure(contender: str, path: Path, layout: str, seed: int) -> dict[str, Any]:
    """Measure `contender` in a fresh process."""
    command = [sys.executable, "-m", "bench.embedded.feed_pages", "--measure", contender, str(path), layout, str(seed)]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return, per reading, the feed's percentiles and each contender's median, with its ratio to the feed's."""
    found: dict[str, dict[str, Any]] = {}
    for name in (*SHAPES, LOOK_UP):
        all_ms = [ms for each in rounds for ms in each["feed"][name]["ms"]]
        found[name] = {"p50_ms": round(statistics.median(all_ms), 2)}
        found[name]["p95_ms"] = round(statistics.quantiles(all_ms, n=20)[-1], 2)
        for contender in CONTENDERS[1:] if name in SHAPES else ():
            pairs = [(each[contender][name], each["feed"][name]) for each in rounds]
            if contender == "number" and any(
                one["checksums"] != feed["checksums"][: len(one["ms"])] for one, feed in pairs
            ):
                raise SystemExit(f"{name}: the two queries gave different rows")
            # At the same places: the others read fewer of them.
            ratios = [
                statistics.median(one["ms"]) / statistics.median(feed["ms"][: len(one["ms"])]) for one, feed in pairs
            ]
            found[name][f"{contender}_p50_ms"] = round(statistics.median(ms for one, _ in pairs for ms in one["ms"]), 2)
            found[name][f"{contender}_ratio_to_feed"] = round(statistics.median(ratios), 2)
    return found


def run(count: int) -> dict[str, list[dict[str, dict[str, Any]]]]:
    """Build each layout once, on the disk that holds the repository, and measure it in `count` rounds."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    rounds: dict[str, list[dict[str, dict[str, Any]]]] = {name: [] for name in LAYOUTS}
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as directory:
        paths = {name: Path(directory) / f"{name}.duckdb" for name in LAYOUTS}
        for name, layout in LAYOUTS.items():
            build(str(paths[name]), layout)
        for number in range(count):
            order = CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]
            for name, path in paths.items():
                rounds[name].append({each: measure(each, path, name, number) for each in order})
    return rounds


def main() -> None:
    """Measure every contender in every round; write the results and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        contender, path, layout, seed = options.measure
        print(json.dumps(asyncio.run(measure_here(contender, path, LAYOUTS[layout], seed))))
        return
    load_before = round(os.getloadavg()[0], 2)
    rounds = run(options.rounds)
    medians = {layout: summary(found) for layout, found in rounds.items()}
    report = {
        "machine": {
            **machine(),
            "duckdb": duckdb.__version__,
            "load_average": [load_before, round(os.getloadavg()[0], 2)],  # before, after
        },
        "rows": ROWS,
        "rounds": options.rounds,
        "layouts": medians,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    for layout, readings in medians.items():
        print(f"{ROWS:,} rows, {layout}")
        for name, one in readings.items():
            print(f"  {name:18}", "  ".join(f"{what} {value:g}" for what, value in one.items()))


if __name__ == "__main__":
    main()
