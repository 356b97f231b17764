"""What the tests of the page have in common: records to look at, and a visit of the page."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from sluice.testing.service import authorization, envelope
from tests.support.chromium.driver import Page
from tests.support.process import Process

SHOWN = (
    "!document.querySelector('#board').hidden && document.querySelectorAll('#plots canvas').length > 0"
    " && document.querySelector('#board [aria-busy=true]') === null"
)
ROWS = "document.querySelectorAll('#records tbody tr').length"
FIRST = "document.querySelector('#records tbody button')?.textContent"
QUERY = "location.search"
CATCH_COPIES = "navigator.clipboard.writeText = async (text) => { window.copied = text; }; 0"


async def post(client: httpx.AsyncClient, *records: dict[str, Any]) -> None:
    """Store records as they are sent over HTTP."""
    now = datetime.now(UTC).isoformat()
    filled = [{"id": f"r{number}", "timestamp": now} | record for number, record in enumerate(records)]
    answer = await client.post("/v1/records", json=filled)
    assert answer.status_code == 201, answer.text


async def push(client: httpx.AsyncClient, record: dict[str, Any], message_id: str, *, delay_s: float) -> None:
    """Push a record that was published so long ago."""
    message = msgspec.json.decode(envelope(msgspec.json.encode(record), message_id))
    published = (datetime.now(UTC) - timedelta(seconds=delay_s)).isoformat().replace("+00:00", "Z")
    message["message"] |= {"publishTime": published, "publish_time": published}
    answer = await client.post("/pubsub/push", json=message, headers=authorization())
    assert answer.status_code in {200, 204}, answer.text


async def fill(client: httpx.AsyncClient) -> None:
    """Store some orders, and have two records rejected."""
    now = datetime.now(UTC)
    for number in range(30):
        record = {
            "id": f"order-{1000 + number}",
            "timestamp": (now - timedelta(seconds=30 - number)).isoformat(),
            "source": ("checkout", "shipping", "checkout", "billing")[number % 4],
            "data": {"total": 10 + number / 4, "country": ("NO", "SE", "DK")[number % 3]},
        }
        await push(client, record, f"m{number}", delay_s=0.2 + number % 7 / 10)
    await push(client, {"id": 7}, "bad-1", delay_s=0.1)
    await push(client, {"id": "x"}, "bad-2", delay_s=0.1)


async def visit(tab: Page, process: Process) -> None:
    """Open the page, and wait until it shows numbers."""
    await tab.open(f"{process.url}/")
    await tab.until(SHOWN)


def button(text: str, within: str = "main") -> str:
    """Return the button of these words."""
    each = f"[...document.querySelectorAll('{within} button')]"
    return f"{each}.find((button) => button.textContent === {json.dumps(text)})"


async def press(tab: Page, text: str, within: str = "main") -> None:
    """Press the button of these words, when it is there."""
    await tab.until(f"{button(text, within)} !== undefined")
    await tab.run(f"{button(text, within)}.click()")


async def choose(tab: Page, selector: str, value: str) -> None:
    """Choose what a control offers."""
    await tab.run(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
        "e.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )


def check_quiet(tab: Page, process: Process, *, but: str = "") -> None:
    """Nothing was complained about (except what contains `but`), and nobody else was asked for anything."""
    complaints = [each for each in tab.complaints if not but or but not in each]
    assert not complaints, complaints
    elsewhere = [url for url in tab.requests if not url.startswith((process.url, "data:"))]
    assert tab.requests
    assert not elsewhere, elsewhere
