"""Answers that are large: whole, with their length, and only so many of one caller at once."""

import json

from app.http.outgoing import PIECE_BYTES
from sluice.testing.service import GOOD, SETTINGS, running

LARGE = {"data": "x" * 200_000}


async def test_a_large_page_is_whole_and_says_its_length() -> None:
    """Sent in pieces, it is the same document, with HEAD's length."""
    async with running() as service:
        for number in range(4):
            await service.client.post("/v1/records", json=GOOD | LARGE | {"id": str(number)})
        page = await service.client.get("/v1/records")
        assert len(page.content) > 8 * PIECE_BYTES
        assert [record["id"] for record in json.loads(page.content)["records"]] == ["0", "1", "2", "3"]
        head = await service.client.head("/v1/records")
        assert head.headers["content-length"] == page.headers["content-length"] == str(len(page.content))


async def test_more_waits_than_there_may_be_are_answered_at_once() -> None:
    """Nobody is refused; the answer is the empty page."""
    settings = SETTINGS.replace(max_waits=0)
    async with running(settings) as service:
        page = await service.client.get("/v1/records?since=now&wait=30")
        assert (page.status_code, page.json()["records"]) == (200, [])
