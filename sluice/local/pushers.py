"""The pushers of all push subscriptions, run and observed as one."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from sluice.local.pusher import Pusher
from sluice.local.stats import PushStats


class Pushers:
    """The pusher of the shared subscription, and that of each stream's own, which pushes to a path below."""

    def __init__(self, shared: Pusher, streams: Mapping[str, Pusher]) -> None:
        """Run `shared` and, by the name of its stream, each of `streams`."""
        self._shared, self._streams = shared, streams

    @property
    def endpoint(self) -> str:
        """Where the messages of the shared subscription are pushed to."""
        return self._shared.endpoint

    def set_endpoint(self, endpoint: str) -> None:
        """Push to another URL from now on, and the streams' own messages to the paths below it."""
        self._shared.set_endpoint(endpoint)
        for stream, pusher in self._streams.items():
            pusher.set_endpoint(f"{endpoint.rstrip('/')}/{stream}")

    def snapshot(self) -> dict[str, Any]:
        """Return the statistics of all together as JSON-ready values; with streams also those of each, by name."""
        if not self._streams:
            return self._shared.snapshot()
        own = {stream: pusher.snapshot() for stream, pusher in self._streams.items()}
        each = [self._shared.snapshot(), *own.values()]
        stats = PushStats.of_all(pusher.stats for pusher in (self._shared, *self._streams.values()))
        return stats.snapshot() | {
            "endpoint": self.endpoint,
            "window": sum(one["window"] for one in each),
            "in_flight": sum(one["in_flight"] for one in each),
            "backoff_ms": max(one["backoff_ms"] for one in each),
            "backlog": _sum(one["backlog"] for one in each),
            "dead_lettered": _sum(one["dead_lettered"] for one in each),
            "streams": own,
        }

    async def run(self) -> None:
        """Push until cancelled."""
        async with asyncio.TaskGroup() as group:
            for pusher in (self._shared, *self._streams.values()):
                group.create_task(pusher.run())


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum, or None if one of the counts is unknown."""
    known = [*counts]
    return None if None in known else sum(count or 0 for count in known)
