"""Answers that are ready but large: sent at their client's pace, and held only so many at once."""

import json

import msgspec
import pytest

from app.clock import FakeClock
from app.errors import ProblemError
from app.query.reads import Reads
from app.query.streaming import SENT_BYTES, LargeAnswers, StreamedResponse
from tests.service import GOOD, SETTINGS, running

LARGE = {"data": "x" * 200_000}


async def test_a_large_page_is_whole_and_says_its_length() -> None:
    """Sent in pieces, it is the same document, with HEAD's length."""
    async with running() as service:
        for number in range(4):
            await service.client.post("/v1/records", json=GOOD | LARGE | {"id": str(number)})
        page = await service.client.get("/v1/records")
        assert len(page.content) > SENT_BYTES
        assert [record["id"] for record in json.loads(page.content)["records"]] == ["0", "1", "2", "3"]
        head = await service.client.head("/v1/records")
        assert head.headers["content-length"] == page.headers["content-length"] == str(len(page.content))


async def test_only_so_many_bytes_are_held() -> None:
    """One more is `busy`; what was sent, or broken off, makes room again."""
    large = LargeAnswers(Reads(FakeClock()), 2 * SENT_BYTES)
    held = await large.response(b"." * (SENT_BYTES + 1), "text/plain", {})
    with pytest.raises(ProblemError, match="read slowly") as told:
        await large.response(b"." * (SENT_BYTES + 1), "text/plain", {})
    assert (told.value.code, told.value.headers["Retry-After"]) == ("busy", "5")
    assert isinstance(held, StreamedResponse)
    assert held._pieces is not None
    await held._pieces[1].aclose()
    await large.response(b"." * (SENT_BYTES + 1), "text/plain", {})


async def test_more_waits_than_there_may_be_are_answered_at_once() -> None:
    """Nobody is refused; the answer is the empty page."""
    settings = msgspec.structs.replace(SETTINGS, max_waits=0)
    async with running(settings) as service:
        page = await service.client.get("/v1/records?since=now&wait=30")
        assert (page.status_code, page.json()["records"]) == (200, [])
