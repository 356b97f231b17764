"""Read the service's feeds by cursor: all of one at once, or as it grows."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from sluice.local.demo.checks import Row

PAGE_LIMIT = 1000


class FeedError(Exception):
    """The service did not respond with a page; the message carries its explanation."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a page that a reader needs."""

    records: list[dict[str, Any]]
    next_cursor: str | None
    resume_cursor: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of a window."""

    rows: list[Row]
    resume_cursor: str


class Feed:
    """One feed of the service (`/v1/records`, `/v1/rejects`)."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def page(self, **parameters: str) -> Page:
        """Return one page of at most PAGE_LIMIT records.

        Raises:
            FeedError: the response is not a page.
        """
        query = parameters | {"limit": str(PAGE_LIMIT)}
        async with self._session.get(self._url, params=query) as response:
            body = await response.read()
            if response.status != 200:
                raise FeedError(f"GET {response.url}: HTTP {response.status} {body[:500].decode(errors='replace')}")
        try:
            return _page.decode(body)
        except msgspec.DecodeError as error:
            raise FeedError(f"GET {self._url}: not a page: {error}") from error

    async def read_all(self, **start: str) -> Reading:
        """Return everything from `start` (`since=` or `cursor=`) to the end of the window."""
        page = await self.page(**start)
        rows = page.records
        while page.next_cursor is not None:
            page = await self.page(cursor=page.next_cursor)
            rows.extend(page.records)
        return Reading(rows=rows, resume_cursor=page.resume_cursor)

    async def follow(self, since: str, poll_s: float, on_rows: Callable[[list[Row]], None]) -> None:
        """Call `on_rows` with every page, forever, polling at the end of the feed."""
        page = await self.page(since=since)
        while True:
            if page.records:
                on_rows(page.records)
            if page.next_cursor is None:
                await asyncio.sleep(poll_s)
            page = await self.page(cursor=page.next_cursor or page.resume_cursor)


_page = msgspec.json.Decoder(Page)
