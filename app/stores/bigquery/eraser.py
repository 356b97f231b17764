"""Erasure on BigQuery: DML, and a label on the records' table by which every instance learns of it.

DML deletes rows as soon as they are stored: only those that `tabledata.insertAll` has streamed, which the service does
not use, cannot be changed for a while (https://cloud.google.com/bigquery/docs/data-manipulation-language#limitations).
"""

import asyncio
import logging

from app.runtime.clock import Clock
from app.runtime.threads import run_in_daemon_thread
from app.stores.bigquery.client import BigQueryClients
from app.stores.bigquery.source import BigQueryRunner
from app.stores.query import Deletion
from app.stores.source import StoreUnavailableError
from app.telemetry.redaction import first_line

LABEL = "sluice_erased"
LEARN_EVERY_S = 60.0
_TIMEOUT_S = 10.0
_log = logging.getLogger("sluice.query")


class BigQueryEraser:
    """The Eraser of one dataset; its generation is the time of the last erasure, in microseconds."""

    learns_within_s = LEARN_EVERY_S + _TIMEOUT_S

    def __init__(self, runner: BigQueryRunner, access: BigQueryClients, table: str, clock: Clock) -> None:
        self._runner, self._access, self._table, self._clock = runner, access, table, clock
        self._generation = 0

    @property
    def generation(self) -> int:
        """The time of the last erasure, as far as this instance knows; 0: never."""
        return self._generation

    async def delete(self, query: Deletion) -> int:
        """Delete rows; return how many were removed.

        Raises:
            QueryError: BigQuery gave no answer.
        """
        return await self._runner.delete(query)

    async def advance(self) -> None:
        """Record the erasure in the label of the table.

        Raises:
            StoreUnavailableError: that failed; other instances may give kept answers until it is repeated.
        """
        generation = max(self._clock.now_us(), self._generation + 1)
        self._generation = generation
        try:
            await run_in_daemon_thread(lambda: self._label(generation), "erasure-label")
        except Exception as error:  # anything that the client raises
            message = f"the erasure could not be recorded on {self._table}: {first_line(error)}"
            raise StoreUnavailableError(message) from error

    async def learn(self) -> None:
        """Read the label every minute, until cancelled, to learn of erasures by other instances. Reading it is free."""
        while True:
            try:
                async with asyncio.timeout(3 * _TIMEOUT_S):
                    generation = await run_in_daemon_thread(self._labelled, "erasure-label")
                self._generation = max(generation, self._generation)
            except Exception as error:  # the next read may succeed; the sink states show the fault
                _log.debug("the label of %s could not be read: %s", self._table, first_line(error))
            await self._clock.sleep(LEARN_EVERY_S)

    def _label(self, generation: int) -> None:
        client = self._access.client()
        table = client.get_table(self._access.place.table_id(self._table), timeout=_TIMEOUT_S)
        table.labels = {**table.labels, LABEL: str(generation)}
        client.update_table(table, ["labels"], timeout=_TIMEOUT_S)

    def _labelled(self) -> int:
        table = self._access.client().get_table(self._access.place.table_id(self._table), timeout=_TIMEOUT_S)
        text = table.labels.get(LABEL, "0")
        return int(text) if text.isdecimal() else 0
