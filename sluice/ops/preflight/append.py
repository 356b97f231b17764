"""After: an append without rows to the write stream of each table, by the service's own appender.

It opens the stream with the declared schema and stores nothing. BigQuery compares permissions and schema when a stream
is opened. What it answers to a request without rows is not documented: an error about the missing rows holds as well,
as it comes after both.
"""

import asyncio
from typing import assert_never

from app.record import RecordTypeError
from app.runtime.clock import SystemClock
from app.schema.table import Table, rejects_table
from app.settings.load import Settings
from app.stores.registry import open_backend
from app.stores.sink import (
    ColumnsPending,
    Outcome,
    QuotaExceeded,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)
from sluice.ops.preflight.check import Act
from sluice.ops.preflight.finding import Failed, Finding, Held, NotLooked
from sluice.ops.preflight.google import Google
from sluice.ops.preflight.plan import Deployment, streams_of

_WITHIN_S = 30.0
_CURES = {
    SinkState.NOT_FOUND: "`terraform apply`",
    SinkState.PERMISSION_DENIED: "let your account have roles/bigquery.dataEditor on the dataset while you look",
    SinkState.SCHEMA_MISMATCH: "see the checks of the tables",
}


def append_nothing(deployment: Deployment, _: Google) -> Finding:
    """Append no rows to each table."""
    settings = deployment.settings.replace(
        backend="bigquery", bigquery_rest_url=deployment.rest_url, bigquery_storage_url=deployment.storage_url
    )
    try:
        tables = (*streams_of(deployment).tables, rejects_table())
    except RecordTypeError as error:
        return NotLooked(f"the record type of the service cannot be loaded here: {error}")
    return judge_outcomes({table.name: asyncio.run(_append(settings, table)) for table in tables})


async def _append(settings: Settings, table: Table) -> Outcome:
    backend = open_backend(settings, [table], SystemClock())
    try:
        async with asyncio.timeout(_WITHIN_S):
            appender = backend.appender(table)
            obstacle = await appender.check()
            return await appender.append([]) if obstacle is None or isinstance(obstacle, ColumnsPending) else obstacle
    except TimeoutError:
        return Uncertain(f"no answer within {_WITHIN_S:g} s")
    finally:
        await backend.close()


def judge_outcomes(outcomes: dict[str, Outcome]) -> Finding:
    """Return the finding of the outcome of each table's append; the worst counts."""
    findings = [_finding(table, outcome) for table, outcome in outcomes.items()]
    for kind in (Failed, NotLooked):
        for finding in findings:
            if isinstance(finding, kind):
                return finding
    return Held(f"the write streams of {' and '.join(outcomes)} accept the declared rows")


def _finding(table: str, outcome: Outcome) -> Finding:
    match outcome:
        case Stored() | RowsRefused() | RowsHeld():  # there were no rows: see the module's docstring
            return Held(table)
        case SetupError():
            cure = _CURES.get(outcome.state, "try again")
            return Failed(f"an append to {table} is refused: {outcome.state.value}, {outcome.detail}".rstrip("."), cure)
        case QuotaExceeded():
            return Failed(f"an append to {table} exceeds a quota: {outcome.detail}", "see quota-appends (--rate)")
        case TooLarge() | Uncertain():
            return NotLooked(f"an append to {table} had no clear outcome: {outcome.detail}")
        case _:
            assert_never(outcome)


CHECKS = (
    Act(
        name="append",
        phase="after",
        about="the write stream of each table accepts the declared rows (an append without rows: nothing is stored)",
        run=append_nothing,
    ),
)
