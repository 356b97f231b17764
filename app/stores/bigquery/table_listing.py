"""Look through the dataset for tables of records that no stream declares."""

import logging
from collections.abc import Collection, Iterator

from app.runtime.threads import run_in_daemon_thread
from app.stores.backend import MARKS, undeclared_table
from app.stores.bigquery.client import BigQueryClients
from app.telemetry.logs import QUOTES_NAMES
from app.telemetry.redaction import first_line

_TIMEOUT_S = 10.0
_log = logging.getLogger("sluice.writer")


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
    for each in client.list_tables(f"{place.project}.{place.dataset}", timeout=_TIMEOUT_S):
        if each.table_type != "TABLE" or each.table_id in declared:
            continue
        table = client.get_table(each.reference, timeout=_TIMEOUT_S)
        buffered = table.streaming_buffer.estimated_rows if table.streaming_buffer is not None else 0
        rows = (table.num_rows or 0) + (buffered or 0)
        if rows and set(MARKS) <= {field.name for field in table.schema}:
            yield undeclared_table(place.table_id(each.table_id), each.table_id, rows)
