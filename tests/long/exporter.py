"""The exporter: the whole feed in one response, again and again, however often the instance is killed."""

import asyncio
import time
from collections import Counter
from datetime import datetime
from typing import Any

import aiohttp
import msgspec

from sluice.testing.pace import patience_s
from tests.long.fleet import Fleet
from tests.long.reader import TRANSIENT, Follower

_PAUSE_S = 1.0
_EXPORTED_WITHIN_S = patience_s(120.0)


class Exporter:
    """Exports everything since `since` until `stop_at_s` (monotone), and checks each export.

    Only a kill may cut one. One that ends as it should holds all that `follower` had read when it began.
    """

    def __init__(self, fleet: Fleet, follower: Follower, since: datetime, stop_at_s: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self.trouble: list[str] = []
        self._fleet, self._follower, self._stop_at_s = fleet, follower, stop_at_s
        self._ask = {"since": since.isoformat(), "limit": "all", "format": "ndjson", "end": "true"}

    async def run(self) -> None:
        """Export until the time is over."""
        timeout = aiohttp.ClientTimeout(total=_EXPORTED_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while time.monotonic() < self._stop_at_s:
                await self._export(session)
                await asyncio.sleep(_PAUSE_S)

    async def _export(self, session: aiohttp.ClientSession) -> None:
        known, kills, status = len(self._follower.rows), self._fleet.kills, 0
        try:
            async with session.get(self._fleet.instances[0].url + "/v1/records", params=self._ask) as response:
                status, lines = response.status, [line async for line in response.content]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            was_killed = self._fleet.kills > kills
            self.outcomes["cut by a kill" if was_killed else type(error).__name__] += 1
            if not was_killed and not isinstance(error, aiohttp.ClientConnectorError):
                self.trouble.append(f"cut: an export was cut while its instance lived: {error!r}")
            return
        self.outcomes[str(status)] += 1
        if status == 200:
            self._check([msgspec.json.decode(line) for line in lines], known)
        elif status not in TRANSIENT:
            self.trouble.append(f"answer: an export was answered {status}: {b''.join(lines)[:300]!r}")

    def _check(self, lines: list[dict[str, Any]], known: int) -> None:
        *rows, end = lines or [{}]
        if (end.get("end"), end.get("records")) != (True, len(rows)):
            self.trouble.append(f"cut: an export of {len(rows)} rows ended with {end}")
            return
        self.outcomes["rows"] += len(rows)
        keys = {row["delivery_key"] for row in rows}
        if len(keys) < len(rows):
            self.trouble.append(f"duplicate: an export of {len(rows)} rows has {len(keys)} delivery keys")
        if missing := {row["delivery_key"] for row in self._follower.rows[:known]} - keys:
            self.trouble.append(f"lost: an export lacks {len(missing)} rows that were read before, as {missing.pop()}")
