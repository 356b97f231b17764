"""The records of a view, taken elsewhere: as a file, a command, a program."""

import asyncio
import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.auth.callers import KEY
from tests.page.test_access import ASKED, enter, grants
from tests.page.visits import CATCH_COPIES, ROWS, SHOWN, button, check_quiet, fill, post, press
from tests.support.chromium.driver import Page
from tests.support.process import serving


async def finished(folder: Path, kind: str) -> bytes:
    """Return a download, when it is complete: until then it has another name."""
    while not (found := await asyncio.to_thread(lambda: [*folder.glob(f"*.{kind}")])):  # noqa: ASYNC110 - of the browser
        await asyncio.sleep(0.02)
    return await asyncio.to_thread(found[0].read_bytes)


@pytest.mark.parametrize("has_key", [False, True], ids=["open", "key"])
async def test_a_view_can_be_taken_away_as_a_file(tab: Page, tmp_path: Path, *, has_key: bool) -> None:
    """As CSV, NDJSON and Arrow: what the API exports for the same filters and columns."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    settings = {"grants_file": grants(tmp_path)} if has_key else {}
    async with serving(tmp_path / "data.duckdb", **settings) as (process, client):
        if has_key:
            client.headers["Authorization"] = f"Bearer {KEY}"
        await post(
            client, {"id": "a", "source": "shop"}, {"id": "b", "source": "depot"}, {"id": "=c", "source": "shop"}
        )
        await tab.keep_downloads(folder)
        await tab.run("delete window.showSaveFilePicker; 0")
        await tab.open(f"{process.url}/?columns=source&filter=source.eq%3Dshop")
        if has_key:
            await tab.until(ASKED)
            await enter(tab, KEY)
        await tab.until(f"{ROWS} === 2")
        await tab.run("delete Window.prototype.showSaveFilePicker; delete window.showSaveFilePicker; 0")
        async with asyncio.timeout(60):
            await press(tab, "CSV")
            assert await finished(folder, "csv") == b"id,source\r\na,shop\r\n'=c,shop\r\n", (
                "no formula of a spreadsheet"
            )
            await press(tab, "NDJSON")
            lines = (await finished(folder, "ndjson")).splitlines()
            assert [json.loads(line) for line in lines] == [
                {"id": "a", "source": "shop"},
                {"id": "=c", "source": "shop"},
            ]
            await press(tab, "Arrow")
            table = await finished(folder, "arrows")
        with pa.ipc.open_stream(table) as stream:
            assert stream.read_all().to_pydict() == {"id": ["a", "=c"], "source": ["shop", "shop"]}
        assert not [url for url in tab.requests if KEY in url]


async def ran(program: list[str], text: str = "") -> str:
    """Return what a program prints."""
    process = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(text.encode())
    assert process.returncode == 0
    return out.decode()


@pytest.mark.parametrize("view", ["", "?columns=source&filter=source.eq%3Dbilling&sort=ingest_time", "?id=order-1003"])
async def test_a_view_can_be_copied_as_a_command_and_a_program(tab: Page, tmp_path: Path, view: str) -> None:
    """Both return the records of the view, in its order."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await tab.open(f"{process.url}/{view}")
        await tab.until(SHOWN)
        await tab.run(CATCH_COPIES)
        ids = await tab.run("[...document.querySelectorAll('#records tbody button')].map((each) => each.textContent)")
        await press(tab, "Copy as curl")
        found = json.loads(await ran(["sh", "-c", await tab.until("window.copied")]))
        assert [each["id"] for each in found["records"]][: len(ids)] == ids
        if "id=" in view:
            await tab.until(f"{button('Copy as Python')}.hidden")
            return
        await tab.run("window.copied = ''")
        await press(tab, "Copy as Python")
        printed = await ran([sys.executable, "-"], await tab.until("window.copied"))
        assert [line.split("'")[3] for line in printed.splitlines()][: len(ids)] == ids
        check_quiet(tab, process)
