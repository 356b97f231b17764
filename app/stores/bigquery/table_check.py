"""Check a live table before anything is appended to it, and report the obstacle.

The result is a state for health and metrics, and one line that says what to do; nothing is raised. The check is one
request without retries, since its callers repeat it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any

from app.runtime.clock import Clock
from app.runtime.deadlines import first_within
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.stores.backend import MARKS, undeclared_table
from app.stores.bigquery.client import BigQueryClients
from app.stores.bigquery.failures import setup_error
from app.stores.bigquery.table_layout import describe, differences
from app.stores.sink import ColumnsPending, SetupError, SinkState
from app.telemetry.logs import QUOTES_NAMES
from app.telemetry.redaction import first_line

TIMEOUT_S = 10.0
_log = logging.getLogger("sluice.writer")


async def check_table(
    access: BigQueryClients, table: Table, timeout_s: float = TIMEOUT_S
) -> SetupError | ColumnsPending | None:
    """Return the obstacle to appending to the live table, the optional columns that it lacks, or None if it fits.

    One request may take `timeout_s`; with loading credentials before it, the whole check may take three times as long.
    It runs in a daemon thread, so neither cancelling nor the end of the process waits for an unresponsive server.
    """
    try:
        async with asyncio.timeout(3 * timeout_s):
            live = await run_in_daemon_thread(lambda: read_table(access, table.name, timeout_s), "table-check")
        all_differences = differences(table, live)
    except Exception as error:  # the last line of defence: any failure of the check becomes a state
        problem = setup_error(error, access.place, table.name)
        if problem.state is SinkState.PERMISSION_DENIED:
            access.forget()  # by the next check the credentials may have been fixed
        return problem
    advice = "`sluice schema diff` lists all differences; docs/record-types.md says how to resolve them"
    name = access.place.table_id(table.name)
    if breaking := [difference for difference in all_differences if difference.effect == "breaks"]:
        text = f"{name} does not fit the record type: {describe(breaking)} {advice}"
        return SetupError(SinkState.SCHEMA_MISMATCH, text)
    if pending := [difference for difference in all_differences if difference.effect == "pending"]:
        text = f"{name} lacks columns of the record type: {describe(pending)} {advice}"
        return ColumnsPending(frozenset(difference.path for difference in pending), text)
    return None


def read_table(access: BigQueryClients, table: str, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return the Table resource of the live table. It blocks, so do not call it on the event loop.

    Raises:
        Exception: whatever the client, the credentials or the network raise; `setup_error` says what it means.
    """
    from google.cloud import bigquery  # noqa: PLC0415 - a quarter of a second that start-up need not spend

    client = access.client()
    reference = bigquery.DatasetReference(access.place.project, access.place.dataset).table(table)
    live = client.get_table(reference, retry=None, timeout=timeout_s)  # type: ignore[arg-type] # None: no retries
    resource: dict[str, Any] = live.to_api_repr()
    return resource


Check = Callable[[], Awaitable[SetupError | ColumnsPending | None]]


class TableMonitor:
    """Checks one live table and remembers the result; concurrent callers share a check.

    `missing` are the optional columns that the table lacks. A check that fails does not change
    them. `begun_us` is when the latest complete check began (the clock's `elapsed_us`); None before the first.
    `has_answer` says whether any check has found which columns it has.
    """

    def __init__(self, table: Table, check: Check, clock: Clock) -> None:
        self.table, self._check, self._clock = table, check, clock
        self.result: SetupError | ColumnsPending | None = None
        self.missing: frozenset[str] = frozenset()
        self.has_answer = False
        self.begun_us: int | None = None
        self._checking: asyncio.Task[SetupError | ColumnsPending | None] | None = None

    def begin(self) -> "asyncio.Task[SetupError | ColumnsPending | None]":
        """Return the running check, or start one."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check_once())
        return self._checking

    async def since(self, since_us: int, within_s: float) -> None:
        """Wait, at most `within_s` seconds, until a check is complete that began at `since_us` or later."""
        waiting = asyncio.ensure_future(self._since(since_us))
        try:
            await first_within(self._clock, within_s, waiting)
        finally:
            waiting.cancel()

    async def _since(self, since_us: int) -> None:
        while self.begun_us is None or self.begun_us < since_us:
            await asyncio.shield(self.begin())

    def close(self) -> None:
        """Stop a running check."""
        if self._checking is not None:
            self._checking.cancel()

    async def _check_once(self) -> SetupError | ColumnsPending | None:
        begun_us = self._clock.elapsed_us()
        self.result = await self._check()
        self.begun_us = begun_us
        match self.result:
            case None:
                self.missing, self.has_answer = frozenset(), True
            case ColumnsPending(missing):
                self.missing, self.has_answer = missing, True
            case SetupError():
                pass
        return self.result


async def warn_of_undeclared_tables(access: BigQueryClients, declared: Collection[str]) -> None:
    """Log each table that has records and is not `declared`; raise nothing. It needs the right to list tables."""
    try:
        warnings = await run_in_daemon_thread(lambda: list(_warnings(access, declared)), "table-listing")
    except Exception as error:  # nothing depends on it; the sink states show what is wrong with the dataset
        _log.info("the tables of the dataset could not be listed: %s", first_line(error))
        return
    for warning in warnings:
        _log.warning("%s", warning, extra=QUOTES_NAMES)


def _warnings(access: BigQueryClients, declared: Collection[str]) -> Iterator[str]:
    client, place = access.client(), access.place
    for each in client.list_tables(f"{place.project}.{place.dataset}", timeout=TIMEOUT_S):
        if each.table_type != "TABLE" or each.table_id in declared:
            continue
        table = client.get_table(each.reference, timeout=TIMEOUT_S)
        buffered = table.streaming_buffer.estimated_rows if table.streaming_buffer is not None else 0
        rows = (table.num_rows or 0) + (buffered or 0)
        if rows and set(MARKS) <= {field.name for field in table.schema}:
            yield undeclared_table(place.table_id(each.table_id), each.table_id, rows)
