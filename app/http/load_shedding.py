"""Choose the connections to close: those whose clients read nothing, and idle ones if room is short. Pure."""

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from app.runtime.instants import SECOND_US

Peer = tuple[str, str]
"""Address and port of a client, both as text, as in the scope of a request."""
Reason = Literal["idle", "unread"]
_SETTLED_S = 0.15
"""How long a connection must have been idle, as a request that was just read is not in progress yet. A connection that
has ever received data must stay idle from one check to the next."""
_HEADS_BYTES = 64 * 1024**2
"""Total bytes allowed for incomplete request heads, which the server buffers and does not account for."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as the kernel reports it: its file descriptor, its peer, and its traffic.

    `quiet_s` is the time since its client last sent data, `has_unread` whether data is waiting for the client.
    """

    file: int
    peer: Peer
    quiet_s: float = float("inf")
    received_bytes: int = 0
    acked_bytes: int = 0
    has_unread: bool = False
    has_answered: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether the kernel reports that no data ever arrived."""
        return not self.received_bytes and self.quiet_s != float("inf")


class _Track(msgspec.Struct):
    """The history of a connection: since when it has been idle, and when its client last acknowledged data."""

    idle_since_us: int
    acked_bytes: int
    acked_since_us: int


class Shedder:
    """Checks all connections from time to time, and chooses the ones to close.

    The server stops accepting at `max_connections`. From three quarters of that on, connections without a request in
    progress are closed. First go all that never sent a byte; then those that never completed a request, until half of
    `max_connections` is left; then keep-alive connections between requests, until three quarters are left. In each
    class the longest quiet goes first. Below three quarters, a burst of connections is left alone, however long it is
    silent.
    """

    def __init__(self, *, max_connections: int, stall_s: float) -> None:
        self._half, self._three_quarters = max_connections // 2, max_connections * 3 // 4
        self._stall_us = round(stall_s * SECOND_US)
        self._tracks: dict[tuple[int, Peer], _Track] = {}

    def is_short(self, connections: int) -> bool:
        """Return whether this many connections leave little room."""
        return connections >= self._three_quarters

    def to_close(
        self, connections: Iterable[Connection], busy: Collection[Peer], now_us: int
    ) -> list[tuple[Connection, Reason]]:
        """Return the connections to close and the reasons; `busy` peers have a request in progress."""
        all_of_them = [*connections]
        self._track(all_of_them, busy, now_us)
        unread = [each for each in all_of_them if self._is_stalled(each, now_us)]
        idle = [each for each in all_of_them if self._is_idle(each, busy, now_us) and each not in unread]
        return [
            *((each, "unread") for each in unread),
            *((each, "idle") for each in self._shed(idle, len(all_of_them) - len(unread))),
        ]

    def _shed(self, idle: list[Connection], count: int) -> list[Connection]:
        fresh = sorted((each for each in idle if not each.has_answered), key=_rank)
        kept_alive = sorted((each for each in idle if each.has_answered), key=_rank)
        # Silent ones rank first. All of them go: if only half went and reopened at once, no room would be gained.
        silent = sum(each.is_silent for each in fresh)
        shed = fresh[: max(count - self._half, silent)] if self.is_short(count) else []
        shed += kept_alive[: max(count - len(shed) - self._three_quarters, 0)]
        held_bytes = sum(each.received_bytes for each in fresh)
        for each in sorted(fresh, key=lambda each: -each.received_bytes):
            if held_bytes <= _HEADS_BYTES:
                break
            held_bytes -= each.received_bytes
            if each not in shed:
                shed.append(each)
        return shed

    def _track(self, connections: list[Connection], busy: Collection[Peer], now_us: int) -> None:
        tracks = dict[tuple[int, Peer], _Track]()
        for each in connections:
            key = (each.file, each.peer)
            track = tracks[key] = self._tracks.get(key) or _Track(now_us, each.acked_bytes, now_us)
            if each.peer in busy:
                track.idle_since_us = now_us
            if each.acked_bytes != track.acked_bytes or not each.has_unread:
                track.acked_bytes, track.acked_since_us = each.acked_bytes, now_us
        self._tracks = tracks

    def _is_stalled(self, each: Connection, now_us: int) -> bool:
        return each.has_unread and now_us - self._tracks[each.file, each.peer].acked_since_us >= self._stall_us

    def _is_idle(self, each: Connection, busy: Collection[Peer], now_us: int) -> bool:
        if each.peer in busy or each.quiet_s < _SETTLED_S:
            return False
        if each.is_silent:
            return True
        return now_us - self._tracks[each.file, each.peer].idle_since_us >= _SETTLED_S * SECOND_US


def _rank(each: Connection) -> tuple[bool, float]:
    return each.received_bytes > 0, -each.quiet_s
