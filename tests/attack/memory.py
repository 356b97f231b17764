"""The memory of the process under attack: its peak since it was last reset, by the kernel's own count."""

import asyncio
import contextlib

from sluice.testing.instance import Resources, reset_peak, resources

_LOOK_EVERY_S = 0.1


class Memory:
    """Watches the memory of a process; nothing where `pid` is None, or gone."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self.first_bytes: int | None = None
        self.last_bytes: int | None = None
        self.peak_bytes: int | None = None

    def watch(self) -> "asyncio.Task[None]":
        """Begin to watch, until the task is cancelled."""
        if self._pid is not None:
            with contextlib.suppress(OSError):  # another user's process: then its peak is the highest that is seen
                reset_peak(self._pid)
            first = self._look()
            self.first_bytes = first.rss_bytes if first else None
        return asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (seen := self._look()) is not None:
            self.last_bytes = seen.rss_bytes
            self.peak_bytes = max(self.peak_bytes or 0, seen.peak_bytes)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _look(self) -> Resources | None:
        try:
            return None if self._pid is None else resources(self._pid)
        except (OSError, KeyError):  # it ended
            return None
