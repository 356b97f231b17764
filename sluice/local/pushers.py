"""The pushers of all push subscriptions, run and moved as one."""

import asyncio
from collections.abc import Mapping

from sluice.local.pusher import Pusher


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

    async def run(self) -> None:
        """Push until cancelled."""
        async with asyncio.TaskGroup() as group:
            for pusher in (self._shared, *self._streams.values()):
                group.create_task(pusher.run())
