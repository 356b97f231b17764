"""The page's choice of streams, in a real browser, over the real service."""

from pathlib import Path

from tests.page.visits import ROWS, check_quiet, visit
from tests.streams.service import MARKET, ORDER, PAYMENT
from tests.support.chromium.driver import Page
from tests.support.process import serving

EACH = "for (const e of document.querySelectorAll('#stream'))"
CHOOSE = EACH + " {{ e.value = '{name}'; e.dispatchEvent(new Event('change')) }}"


async def test_one_stream_is_shown_at_a_time(tab: Page, tmp_path: Path) -> None:
    """Its figures, records and rejects, by its own columns; nothing of the one before stays."""
    async with serving(tmp_path / "data.duckdb", streams=MARKET.store.streams) as (process, client):
        assert (await client.post("/v1/records", json=[ORDER, ORDER | {"order_id": "o2"}])).status_code == 201
        assert (await client.post("/v1/streams/payments/records", json=PAYMENT)).status_code == 201
        assert (await client.post("/v1/streams/payments/records", json={"number": "none"})).status_code == 422
        await visit(tab, process)
        await tab.until(f"{ROWS} === 2 && !document.querySelector('#streams').hidden")
        await tab.shows("#stream", "orderspaymentsvisits", whole=True)
        await tab.shows("#records thead", "order_id")
        await tab.run(CHOOSE.format(name="payments"))
        await tab.until(f"{ROWS} === 1 && document.querySelectorAll('#rejected tbody tr').length === 1")
        await tab.until("document.querySelector('#figures').textContent.includes('Stored1record')")
        await tab.shows("#records thead", "number")
        await tab.run(CHOOSE.format(name="visits"))
        await tab.until("document.querySelector('#records').textContent.includes('No record was stored')")
        assert await tab.run("document.querySelector('#first-record').hidden"), "its example is another stream's"
        check_quiet(tab, process)
