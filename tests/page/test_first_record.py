"""The command that the page shows while there are no records, as a newcomer uses it: in a shell, as it stands."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.page.visits import ROWS, check_quiet, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

COMMAND = "#first-record code"


async def check_the_command(tab: Page, data_path: Path, **settings: str) -> None:
    """Run the command that the page shows, and see the record appear."""
    async with serving(data_path, **settings) as (process, client):
        await visit(tab, process)
        await tab.until(f"document.querySelector({COMMAND!r})?.checkVisibility()")
        command = await tab.text(COMMAND)
        run = ["sh", "-c", f"{command} --silent --show-error --fail-with-body"]
        sent = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, check=False)
        assert sent.returncode == 0, (command, sent)
        await tab.until(f"{ROWS} === 1 && document.querySelector('#first-record').hidden")
        assert (await client.get("/v1/rejects")).json()["records"] == []
        check_quiet(tab, process)


@pytest.mark.parametrize("record", ["sluice.local.flights.record:Flight", "tests.page.declared:Quoted"])
async def test_the_command_stores_a_record(tab: Page, tmp_path: Path, record: str) -> None:
    """Of any declared type, with the characters that a shell would take for its own."""
    await check_the_command(tab, tmp_path / "data.duckdb", record=record)


async def test_a_type_without_an_example_shows_a_draft(tab: Page, tmp_path: Path) -> None:
    """The page says that it is none, gives no command, and leads to the schema."""
    async with serving(tmp_path / "data.duckdb", record="tests.page.declared:Underivable") as (process, _):
        await visit(tab, process)
        await tab.shows("#first-record", "No valid example could be derived")
        shown = await tab.text(COMMAND)
        assert "curl" not in shown
        assert '"id": "text"' in shown
        await tab.run("document.querySelector('#first-record a').click()")
        await tab.until("document.querySelector('#operations-ingest-createRecords')?.checkVisibility()")
        check_quiet(tab, process)
