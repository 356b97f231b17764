"""The service over two scripted Appenders, one for records and one for rejects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec

from app.schema.table import RECORDS, Table
from app.settings.load import Settings
from app.stores.sink import Appender
from sluice.testing.clock import FakeClock
from sluice.testing.service import SETTINGS, Service, running
from tests.ingest.scripted import ScriptedAppender


class Sinks(msgspec.Struct):
    """The service's two Appenders, both scripted, and what happened in both, in order."""

    records: ScriptedAppender
    rejects: ScriptedAppender
    actions: list[str]


@asynccontextmanager
async def scripted(
    settings: Settings = SETTINGS, clock: FakeClock | None = None
) -> AsyncIterator[tuple[Service, Sinks]]:
    """Run the service over scripted Appenders."""
    actions: list[str] = []
    sinks = Sinks(
        ScriptedAppender(name="records", actions=actions), ScriptedAppender(name="rejects", actions=actions), actions
    )

    def wrap(table: Table, _: Appender) -> Appender:
        return sinks.records if table.name == RECORDS else sinks.rejects

    async with running(settings, clock or FakeClock(), wrap) as service:
        yield service, sinks


def status_and_code(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the problem's code, "" for none."""
    return answer.status_code, answer.json()["code"] if answer.content else ""
