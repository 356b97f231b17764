"""BigQuery behind the QueryRunner.

Calls of the REST API block, so they run in threads of their own, never on the event loop. `jobs` limits a query's bytes
and time. This module waits for it, and cancels the job if its caller stops waiting or the time is over.

A record is looked up by its id in two steps: at which instants it has rows, then those rows. Tables are clustered by
time, so a condition on the id excludes no blocks, unless a search index knows in which it is
(https://cloud.google.com/bigquery/docs/search-index). The first step reads two narrow columns of the range, or the
blocks that the index names; the second all columns of the blocks at a few instants. Of rows that are not indexed yet,
the first reads the same two columns, so it costs little there too.
"""

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from cachetools import LRUCache
from google.api_core.exceptions import InternalServerError, ServiceUnavailable
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadAsyncClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcAsyncIOTransport

from app.runtime.clock import Clock
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, epoch_us
from app.runtime.threads import run_in_daemon_thread
from app.settings.load import Settings
from app.stores.bigquery import jobs
from app.stores.bigquery.client import QUERY_THREADS, BigQueryClients
from app.stores.bigquery.failures import query_error
from app.stores.bigquery.horizons import Horizons
from app.stores.bigquery.jobs import Job
from app.stores.bigquery.table_check import TableMonitor
from app.stores.erasures import ErasedRecord, record_erasure
from app.stores.query import ArrowQuery, Deletion, LookUp, Position, Query, State
from app.stores.sink import Appender
from app.stores.source import (
    END_OF_STREAM,
    Answer,
    LearnHorizon,
    OutdatedColumnsError,
    Plan,
    QueryError,
    QueryTimeoutError,
    ReadProfile,
    Row,
    StoreUnavailableError,
    streamed_bytes,
)
from app.stores.sql.projection import source_of
from app.stores.sql.statement import MOST_INSTANTS, Statement, render, render_instants, render_look_up
from app.telemetry.redaction import first_line

_Result = TypeVar("_Result")
_CHANNEL_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
_SESSION_TIMEOUT_S = 30.0
_ATTEMPTS = 3  # in a row without a single batch
_PAUSE_S = 0.1
_CHECK_WAIT_S = 3.0
_FEW = 100  # instants, each with a block of its own, which has tens of megabytes
_KEPT_PLACES = 1_000


LABEL = "sluice_erased"
LEARN_EVERY_S = 60.0
_LABEL_TIMEOUT_S = 10.0
_log = logging.getLogger("sluice.query")


class BigQueryRunner:
    """Runs queries over the tables of one dataset.

    A column that a table lacks reads as NULL. `monitors`, by the table's name, know which columns those are.
    """

    def __init__(
        self,
        access: BigQueryClients,
        settings: Settings,
        clock: Clock,
        monitors: Mapping[str, TableMonitor] = MappingProxyType({}),
    ) -> None:
        self._access, self._settings, self._clock, self._monitors = access, settings, clock, monitors
        self.profile = ReadProfile(
            # As the tables are declared: a query bills whole columns of each partition that it touches.
            partition_us=HOUR_US,
            first_slice_us=MINUTE_US,  # billed with its whole hour; the rest of that hour is read with the next one
            # A query costs 10 MB at least. An index finds an id in any number of rows; without one, hours are read in
            # vain.
            first_look_up_us=DAY_US if settings.query.id_index else HOUR_US,
            poll_s=settings.query.poll_s,
            materializes=True,
        )
        self._horizons = Horizons(settings, clock, self.read)
        self.learn_horizon: LearnHorizon | None = self._horizons.learn
        self._trust = jobs.Trust(partial(jobs.max_bytes_billed, settings=settings), clock)
        self._settle_us = round(settings.store.settle_s * SECOND_US)
        self.erasures: int | None = None
        """The number of the latest erasure, once the eraser knows it: results from before are not read again."""
        self._own = str(uuid.uuid4())
        self._places = LRUCache[tuple[State, Position], int](_KEPT_PLACES)
        """How many rows of a state there are up to a position at which a page has ended."""
        self._threads = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="bigquery-query")

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        if isinstance(query, LookUp):
            return await self._look_up(query)
        if isinstance(query, State):
            return await self._state(query)
        answer = await self._over_live_columns(query, Job.rows)
        if jobs.is_short(query):
            self._trust.note(query, answer.bytes_processed)
        return answer

    async def _look_up(self, query: LookUp) -> Answer:
        is_indexed = self._settings.query.id_index and self._trust.covers(query)
        answer = await self._with_columns(
            query, lambda source: look_up(self.read, query, source, is_indexed=is_indexed)
        )
        self._trust.note(query, answer.bytes_processed)
        return answer

    async def _state(self, query: State) -> Answer:
        """Return rows of the whole state, which one query makes for all pages, in whatever instance."""
        whole, after = _whole(query), query.after
        guess = self._places.get((whole, after), 0) if after else 0
        # Of each day, since the results of the day before are lost one by one.
        version = f"{self.erasures} {self._clock.now_us() // DAY_US}"
        shared = [] if self.erasures is None else [f"{version} 0", f"{version} 1"]
        names = [*shared, f"{version} {self._own}"]
        answer, start = await self._over_live_columns(
            whole, lambda job: job.kept_rows(names, after, query.limit, guess)
        )
        for index, row in [*enumerate(answer.rows, start + 1)][-2:]:  # the last may only show that there are more
            self._places[whole, Position(epoch_us(row["ingest_time"]), row["delivery_key"])] = index
        return answer

    async def read(self, statement: Statement) -> Answer:
        """Return the rows of a statement, in its order."""
        return await self._run(statement, Job.rows)

    async def explain(self, query: Query) -> Plan:
        """Return the statement, and how many bytes it would read, at most, by a dry run, which is free."""
        query = _whole(query) if isinstance(query, State) else query
        estimated_bytes = await self._over_live_columns(query, Job.estimated_bytes)
        return self._statement(query).plan(estimated_bytes)

    def version(self, table: str) -> int | None:
        """Return None: this instance does not learn of rows that others store."""
        return None

    def horizon_us(self, table: str) -> int:
        """Return the instant before which no instance commits a stamp any more, as far as that is known."""
        return self._horizons.horizon_us()

    async def delete(self, deletion: Deletion) -> int:
        """Delete rows; return how many were removed.

        Raises:
            QueryError: as of `rows`; its cause is what the client raised.
        """
        return await self._over_live_columns(deletion, Job.changes)

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream."""
        table_path, billed = await self._over_live_columns(query, Job.table)
        if jobs.is_short(query):
            self._trust.note(query, billed)
        if billed and (request_bytes := streamed_bytes.get()) is not None:
            request_bytes.append(billed)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._access.load)
            async with aclosing(read_table(self._access, table_path)) as pieces:
                async for piece in pieces:
                    yield piece
        except Exception as failure:  # named here, or let through
            self._raise_named(failure, self._statement(query))
            raise

    def close(self) -> None:
        """Start no more queries. No caller waits for those still running; they end by their own timeouts."""
        self._horizons.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _over_live_columns(self, query: Query | Deletion, how: Callable[[Job], _Result]) -> _Result:
        """Run `query` over the columns that its table has."""
        is_cheap = jobs.is_short(query) and self._trust.covers(query)

        async def run(source: str) -> _Result:
            return await self._run(msgspec.structs.replace(render(query, source), is_cheap=is_cheap), how)

        return await self._with_columns(query, run)

    async def _with_columns(self, query: Query | Deletion, run: Callable[[str], Awaitable[_Result]]) -> _Result:
        """Run a query with NULL for columns that the table lacks; once more if BigQuery reports others."""
        monitor = self._monitors.get(query.table)
        if monitor is None:
            return await run("")
        if monitor.missing:
            # A row with a value of the column is stored only once the table has it, and is settled later still. So a
            # check that is younger than the settle time sees the column before a settled read reaches the row. Where
            # watermarks settled the row, a check must be younger than they are.
            since_us = self._clock.elapsed_us() - self._settle_us // 2
            if self._horizons.learned_us is not None:
                since_us = max(since_us, self._horizons.learned_us)
            await monitor.since(since_us, _CHECK_WAIT_S)
        begun_us, missing = self._clock.elapsed_us(), monitor.missing
        try:
            return await run(source_of(query, monitor.table, missing))
        except OutdatedColumnsError:
            await monitor.since(begun_us, _CHECK_WAIT_S)
            if monitor.missing == missing:
                raise
            return await run(source_of(query, monitor.table, monitor.missing))

    def _statement(self, query: Query) -> Statement:
        monitor = self._monitors.get(query.table)
        return render(query, source_of(query, monitor.table, monitor.missing) if monitor else "")

    async def _run(self, statement: Statement, how: Callable[[Job], _Result]) -> _Result:
        """Run `how` in a thread; cancel its job if the caller is cancelled or the time is over."""
        job = Job(statement, self._access.place, self._settings)
        timeout_s = jobs.timeout_s(statement.purpose, self._settings)
        work = self._threads.submit(self._in_thread, how, job)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise QueryTimeoutError(timeout_s) from None
        finally:
            if job.abandon():  # not in the pool, all of whose threads may be waiting
                threading.Thread(target=job.cancel, name="bigquery-cancel", daemon=True).start()

    def _in_thread(self, how: Callable[[Job], _Result], job: Job) -> _Result:
        try:
            job.client = self._access.client()
            return how(job)
        except Exception as failure:  # named here, or let through
            self._raise_named(failure, job.statement)
            raise

    def _raise_named(self, failure: Exception, statement: Statement) -> None:
        named: QueryError | None = query_error(
            failure,
            self._access.place,
            limit_bytes=jobs.limit_bytes(statement, self._settings) or 0,  # without one, none is exceeded
            timeout_s=jobs.timeout_s(statement.purpose, self._settings),
        )
        if named is not None:
            raise named from failure


class BigQueryEraser:
    """The Eraser of one dataset: DML, and a label on the records' table by which every instance learns of it.

    Its generation is the time of the last erasure, in microseconds. DML deletes rows as soon as they are stored: only
    those that `tabledata.insertAll` has streamed, which the service does not use, cannot be changed for a while
    (https://cloud.google.com/bigquery/docs/data-manipulation-language#limitations).
    """

    def __init__(
        self, runner: BigQueryRunner, access: BigQueryClients, table: str, clock: Clock, appender: Appender
    ) -> None:
        self._runner, self._access, self._table, self._clock = runner, access, table, clock
        self._appender = appender

    @property
    def generation(self) -> int:
        """The time of the last erasure, as far as this instance knows; 0: never."""
        return self._runner.erasures or 0

    async def delete(self, query: Deletion) -> int:
        """Delete rows; return how many were removed.

        Raises:
            QueryError: BigQuery gave no answer.
        """
        return await self._runner.delete(query)

    async def advance(self, erased: ErasedRecord) -> None:
        """Record the erasure in its table and in the label of the records' table.

        Raises:
            StoreUnavailableError: that failed; other instances may give kept answers until it is repeated.
        """
        await record_erasure(self._appender, erased)
        generation = max(self._clock.now_us(), self.generation + 1)
        self._runner.erasures = generation
        try:
            await run_in_daemon_thread(lambda: self._label(generation), "erasure-label")
        except Exception as error:  # anything that the client raises
            message = f"the erasure could not be recorded on {self._table}: {first_line(error)}"
            raise StoreUnavailableError(message) from error

    async def learn(self) -> None:
        """Read the label every minute, until cancelled, to learn of erasures by other instances. Reading it is free."""
        while True:
            try:
                async with asyncio.timeout(3 * _LABEL_TIMEOUT_S):
                    generation = await run_in_daemon_thread(self._labelled, "erasure-label")
                self._runner.erasures = max(generation, self.generation)
            except Exception as error:  # the next read may succeed; the sink states show the fault
                _log.debug("the label of %s could not be read: %s", self._table, first_line(error))
            await self._clock.sleep(LEARN_EVERY_S)

    def _label(self, generation: int) -> None:
        client = self._access.client()
        table = client.get_table(self._access.place.table_id(self._table), timeout=_LABEL_TIMEOUT_S)
        table.labels = {**table.labels, LABEL: str(generation)}
        client.update_table(table, ["labels"], timeout=_LABEL_TIMEOUT_S)

    def _labelled(self) -> int:
        table = self._access.client().get_table(self._access.place.table_id(self._table), timeout=_LABEL_TIMEOUT_S)
        text = table.labels.get(LABEL, "0")
        return int(text) if text.isdecimal() else 0


def _whole(query: State) -> State:
    """Return the query of all pages of a state, which may take as long as an export."""
    return msgspec.structs.replace(query, purpose="export", within=query.folded, after=None, limit=None)


async def look_up(
    read: Callable[[Statement], Awaitable[Answer]], query: LookUp, source: str, *, is_indexed: bool
) -> Answer:
    """Return the rows of `query`, which `read` reads from `source` ("": the table itself).

    `is_indexed`: a search index finds the id, so the first step costs far less than BigQuery estimates.

    Raises:
        QueryError: the store gave no answer.
    """
    answer = await read(render_instants(query, is_cheap=is_indexed))
    billed = answer.bytes_processed or 0
    instants = [epoch_us(row["ingest_time"]) for row in answer.rows]
    if len(instants) > MOST_INSTANTS:  # an id of more rows than can be named
        rest = await read(render_look_up(query, source))
        return Answer(rest.rows, billed + (rest.bytes_processed or 0))
    rows: list[Row] = []
    for some in _groups(instants, query.lookback_us):
        if some[0] < query.within.from_us:  # only the look-back has rows
            break
        left = msgspec.structs.replace(query, limit=query.limit - len(rows))
        part = await read(render_look_up(left, source, some, is_cheap=len(some) <= _FEW))
        billed += part.bytes_processed or 0
        rows += part.rows
        if len(rows) == query.limit:
            break
    return Answer(rows, billed)


def _groups(instants: Sequence[int], lookback_us: int) -> Iterator[Sequence[int]]:
    """Yield the instants, newest first: those that may be copies of one delivery, then all the others.

    No row of the second group is within the look-back of one in the first.
    """
    end = next(
        (place for place in range(1, len(instants)) if instants[place - 1] - instants[place] > lookback_us),
        len(instants),
    )
    yield from (group for group in (instants[:end], instants[end:]) if group)


async def read_table(access: BigQueryClients, table_path: str) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of the Arrow IPC stream of all rows of a table, in its order. Call `access.load` first.

    The Storage Read API sends exactly the messages of such a stream, except its end-of-stream marker. A BIGNUMERIC
    column arrives as decimal256(76, 38), a NUMERIC one as decimal128(38, 9). The order of an ORDER BY holds within one
    stream: https://cloud.google.com/bigquery/docs/reference/storage#read_from_session_streams.

    Raises:
        GoogleAPICallError: the table cannot be read, or not any further.
        AccessError: there are no usable credentials.
    """
    channel = access.channel(_CHANNEL_OPTIONS)
    try:
        client = BigQueryReadAsyncClient(transport=BigQueryReadGrpcAsyncIOTransport(channel=channel))
        session = await client.create_read_session(
            parent=f"projects/{access.place.project}",
            read_session=types.ReadSession(table=table_path, data_format=types.DataFormat.ARROW),
            max_stream_count=1,
            retry=None,
            timeout=_SESSION_TIMEOUT_S,
        )
        yield session.arrow_schema.serialized_schema
        for stream in session.streams:  # one, or none if the table is empty
            async with aclosing(_batches(client, stream.name)) as batches:
                async for batch in batches:
                    yield batch
        yield END_OF_STREAM
    finally:
        await channel.close()


async def _batches(client: BigQueryReadAsyncClient, stream: str) -> AsyncGenerator[bytes, None]:
    """Yield the batches of a stream; if it breaks off, resume at that offset."""
    offset, failures = 0, 0
    while True:
        call: Any = None
        try:
            # The call waits for the first answer, so it may fail like the later ones.
            call = await client.read_rows(read_stream=stream, offset=offset, retry=None, timeout=None)
            async for answer in call:
                offset, failures = offset + answer.row_count, 0
                yield answer.arrow_record_batch.serialized_record_batch
        except (ServiceUnavailable, InternalServerError):
            failures += 1
            if failures == _ATTEMPTS:
                raise
            await asyncio.sleep(_PAUSE_S * failures)
        else:
            return
        finally:
            if call is not None:
                call.cancel()
