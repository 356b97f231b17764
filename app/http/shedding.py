"""Which connections to close: those whose clients read nothing, and idle ones while there is little room. Pure."""

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

Peer = tuple[str, str]
"""Address and port of a client, as the server has them in the scope of a request: both are text."""
_MICROSECONDS = 1_000_000
Reason = Literal["idle", "unread"]
_SETTLED_S = 0.15
"""How long a connection must have been idle: a request that was just read is not in progress yet. Unless nothing ever
came on it, it must be so from one look to the next."""
_HEADS_BYTES = 64 * 1024**2
"""What requests may come to whose heads are not complete; the server holds them, and nobody counts them."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as the system sees it: its file, its peer, and what has passed.

    `quiet_s` is how long ago its client sent something, `has_unread` whether something waits for the client.
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
        """Whether the system says that nothing ever came."""
        return not self.received_bytes and self.quiet_s != float("inf")


class _Track(msgspec.Struct):
    """What was seen of a connection: since when it is idle, and since when its client has acknowledged nothing."""

    idle_since_us: int
    acked_bytes: int
    acked_since_us: int


class Shedder:
    """Looks at all connections now and then, and says which ones to close.

    `max_connections` is where the server stops accepting. From three quarters of it on, connections without a request
    in progress are closed: all that never sent a byte, then those that never completed a request, until half is left;
    then those that are kept alive between requests, until three quarters are. In each class the one that is quiet
    longest goes first. Below that, a burst of connections is left alone, however long it says nothing.
    """

    def __init__(self, *, max_connections: int, stall_s: float) -> None:
        self._half, self._three_quarters = max_connections // 2, max_connections * 3 // 4
        self._stall_us = round(stall_s * _MICROSECONDS)
        self._tracks: dict[tuple[int, Peer], _Track] = {}

    def is_short(self, connections: int) -> bool:
        """Whether so many connections leave little room."""
        return connections >= self._three_quarters

    def to_close(
        self, connections: Iterable[Connection], busy: Collection[Peer], now_us: int
    ) -> list[tuple[Connection, Reason]]:
        """Return what to close, and why; `busy` have a request in progress."""
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
        # Silent ones rank first. All of them go: half, reopened at once, would leave no more room than before.
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
        return now_us - self._tracks[each.file, each.peer].idle_since_us >= _SETTLED_S * _MICROSECONDS


def _rank(each: Connection) -> tuple[bool, float]:
    return each.received_bytes > 0, -each.quiet_s
