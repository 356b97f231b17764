"""Keep room for new connections: close those that occupy a place without using it.

The server stops accepting at `max_connections`. It waits up to half a minute for a request, and forever for a client
that reads nothing. Without this watch, a thousand silent sockets were enough to deny service completely.
"""

import logging
import time
from collections.abc import Collection, MutableMapping

from app.http import sockets
from app.http.shedding import Connection, Peer, Shedder
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.threads import run_in_daemon_thread

_LOOK_EVERY_S, _LOOK_AT_ALL_EVERY_S = 0.25, 5.0
_SHARE = 20  # checks may use one part in this many of the time
_TELL_EVERY_S = 60.0
_log = logging.getLogger("sluice.connections")


class ConnectionWatch:
    """Watches the connections of `port`; `clients` are those with a request in progress."""

    def __init__(  # noqa: PLR0913 - all it depends on
        self,
        port: int,
        clients: Collection[Peer],
        clock: Clock,
        closed_connections: MutableMapping[str, int],
        *,
        max_connections: int,
        stall_s: float,
    ) -> None:
        self._port, self._clients, self._clock, self._closed_connections = port, clients, clock, closed_connections
        self._max_connections = max_connections
        self._shedder = Shedder(max_connections=max_connections, stall_s=stall_s)
        self._condemned: set[Peer] = set()
        self._closed = 0
        self._took_s = 0.0
        self._told_us: int | None = None

    def cut(self, peer: Peer) -> None:
        """Close the connection of `peer` at the next check."""
        self._condemned.add(peer)

    async def run(self) -> None:
        """Check the connections periodically, until cancelled."""
        if not sockets.IS_SUPPORTED:
            return
        sockets.limit_unsent(self._port)
        seen_us = self._clock.elapsed_us()
        pause_s = _LOOK_EVERY_S
        while True:
            await self._clock.sleep(pause_s)
            pause_s, begun_us = _LOOK_EVERY_S, self._clock.elapsed_us()
            is_short = self._shedder.is_short(sockets.open_files())
            if is_short or self._condemned or begun_us - seen_us >= _LOOK_AT_ALL_EVERY_S * MICROSECONDS:
                seen_us = begun_us
                try:
                    await self.look()
                except Exception:  # the next check may succeed; without checks the service could be locked out
                    _log.exception("unexpected failure while checking the connections")
                if is_short:
                    pause_s = max(_LOOK_EVERY_S, _SHARE * self._took_s)

    async def look(self) -> None:
        """Check every connection, and close those that should be closed."""
        found, self._took_s = await run_in_daemon_thread(self._found, "connections")
        # All requests read before the check have reached the loop by now, so `clients` is up to date with it.
        condemned, self._condemned = self._condemned, set()
        for each in found:
            if each.peer in condemned and sockets.close(each):
                self._closed_connections["unread"] += 1
        for each, reason in self._shedder.to_close(found, self._clients, self._clock.elapsed_us()):
            if each.peer not in condemned and sockets.close(each):
                self._closed_connections[reason] += 1
                self._closed += reason == "idle"
        self._tell(found)

    def _found(self) -> tuple[list[Connection], float]:
        """Return the connections, and the CPU time of the check: wall time would grow on a busy machine."""
        begun_s = time.thread_time()
        return sockets.connections(self._port), time.thread_time() - begun_s

    def _tell(self, found: list[Connection]) -> None:
        now_us = self._clock.elapsed_us()
        if not self._closed or (self._told_us is not None and now_us - self._told_us < _TELL_EVERY_S * MICROSECONDS):
            return
        told = "closed %d idle connections to make room: %d of at most %d were open (SLUICE_MAX_CONNECTIONS, ulimit -n)"
        _log.warning(told, self._closed, len(found), self._max_connections)
        self._closed, self._told_us = 0, now_us
