"""Consumers: follow a feed by its cursors, from one instance or another, whatever happens to them."""

import asyncio
import random
from collections import Counter
from datetime import datetime
from typing import Any

import aiohttp

from sluice.testing.pace import patience_s
from tests.long.fleet import Fleet

TRANSIENT = {429, 500, 502, 503, 504}
_PAGE_WITHIN_S = patience_s(60.0)
_POLL_S, _RETRY_S = 1.0, 0.2


class Follower:
    """Reads one feed from `since` on: every page once, again with the same cursor where one did not arrive."""

    def __init__(self, fleet: Fleet, path: str, since: datetime, seed: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self.outcomes: Counter[str] = Counter()
        self.trouble: list[str] = []
        """Answers that no reader may get."""
        self.settled: datetime | None = None
        """What was stamped before this has been read."""
        self._fleet, self._path, self._since = fleet, path, since
        self._dice = random.Random(f"{seed}/reader{path}")
        self._until: datetime | None = None

    def finish(self, until: datetime) -> None:
        """End once everything that was stamped before `until` has been read."""
        self._until = until

    async def run(self) -> None:
        """Follow the feed until it may `finish`."""
        ask = {"since": self._since.isoformat(), "limit": "1000"}
        timeout = aiohttp.ClientTimeout(total=_PAGE_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not self.trouble:
                page = await self._page(session, ask)
                if page is None:
                    await asyncio.sleep(_RETRY_S)
                    continue
                self.rows += page["records"]
                if page["next_cursor"] is None:
                    self.settled = datetime.fromisoformat(page["window"]["until"])
                ask = {"cursor": page["next_cursor"] or page["resume_cursor"], "limit": "1000"}
                if page["next_cursor"] is None:
                    if self._until is not None and datetime.fromisoformat(page["window"]["until"]) > self._until:
                        return
                    await asyncio.sleep(_POLL_S)

    async def _page(self, session: aiohttp.ClientSession, ask: dict[str, str]) -> dict[str, Any] | None:
        """Return a page, or None when it did not arrive."""
        try:
            async with session.get(self._fleet.url(self._dice) + self._path, params=ask) as response:
                if response.status == 200:
                    page: dict[str, Any] = await response.json()
                    self.outcomes["200"] += 1
                    return page
                body = await response.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.outcomes[type(error).__name__] += 1
            return None
        self.outcomes[str(response.status)] += 1
        if response.status not in TRANSIENT:
            self.trouble.append(f"answer: a reader of {self._path} was answered {response.status}: {body[:300]}")
        return None
