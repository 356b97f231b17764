"""What the page offers to do about rejected records."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx

from sluice.testing.service import authorization, envelope
from tests.page.visits import CATCH_COPIES, FIRST, QUERY, ROWS, button, check_quiet, press, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

REJECTED = "document.querySelectorAll('#rejected tbody tr').length"


async def reject(client: httpx.AsyncClient, data: bytes, message_id: str, **attributes: str) -> None:
    """Push what is rejected."""
    attributes = {name.replace("_", "-"): value for name, value in attributes.items()}
    answer = await client.post("/pubsub/push", content=envelope(data, message_id, attributes), headers=authorization())
    assert answer.status_code in {200, 204}


async def test_rejects_are_grouped_and_can_be_sent_again(tab: Page, tmp_path: Path) -> None:
    """By reason, with counts; what would be stored now is stored once, and what would not says why again."""
    good = json.dumps({"id": "late", "timestamp": datetime.now(UTC).isoformat(), "source": "shop"}).encode()
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await reject(client, good, "zipped", content_encoding="zip")
        await reject(client, b'{"id": 7}', "wrong")
        await reject(client, b"{", "broken")
        await visit(tab, process)
        await tab.until(f"{REJECTED} === 3 && document.querySelectorAll('#reasons button').length === 3")
        await press(tab, "bad encoding 1", "#reasons")
        await tab.until(f"{REJECTED} === 1 && {QUERY} === '?reason=bad_encoding'")
        await press(tab, "bad encoding", "#rejected")
        await tab.shows("#details pre", '"id": "late"')
        await tab.run(CATCH_COPIES)
        await press(tab, "Copy the replay command", "#details")
        assert await tab.until("window.copied") == f"sluice replay --service '{process.url}' --reason bad_encoding"
        for _ in range(2):
            await press(tab, "Send it again", "#details")
            await tab.shows("#details [role=status]", "Stored, with the delivery key http:")
            await tab.run(f"{button('Send it again', '#details')}.disabled = false; 0")
        await tab.run("document.querySelector('#details').close()")
        await tab.until(f"{ROWS} === 1 && {FIRST} === 'late'")
        assert len((await client.get("/v1/records")).json()["records"]) == 1

        await press(tab, "bad encoding 1", "#reasons")
        await tab.until(f"{REJECTED} === 3 && {QUERY} === ''")
        await press(tab, "invalid", "#rejected")
        await press(tab, "Send it again", "#details")
        await tab.shows("#details [role=status]", "It was rejected again. No record of the request could be stored")
        check_quiet(tab, process, but="422")
