"""Answers that are large: whole, with their length."""

import json

from app.http.bodies import PIECE_BYTES
from sluice.testing.service import GOOD, running

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
