"""The attacks, as data: what is sent, on how many connections, for how long. Pure."""

from collections.abc import Sequence

import msgspec

DEFAULT_S = 12.0
_STALL_S, _UNREAD_S = 15.0, 45.0


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Open `connections`, say an opening on each (tests/long/attack/openings.py), and read nothing until the end.

    With `drip` a byte follows every second; with `receive_bytes` so little of an answer fits into the kernel.
    """

    opening: str
    connections: int
    drip: bool = False
    receive_bytes: int = 4_096


class Repeat(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send a payload (tests/long/attack/payloads.py) over and over, each connection `pause_s` after it was answered."""

    payload: str
    connections: int
    pause_s: float
    times: int | None = None
    """How often altogether; None is until the end."""


Move = Hold | Repeat


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """One attack: its moves begin one after another and go on together.

    `pages` is how many messages of large records are stored beforehand. With `stall_s` the kernel ends clients that
    read nothing after that time instead of the default, and all of these must be gone when the attack is over.
    """

    name: str
    moves: tuple[Move, ...]
    seconds: float = DEFAULT_S
    pages: int = 0
    stall_s: float | None = None


def _repeated(name: str, *, connections: int = 2, pause_s: float = 0.5) -> Attack:
    return Attack(name=name, moves=(Repeat(payload=name, connections=connections, pause_s=pause_s),))


def _held(name: str, connections: int, *, drip: bool = False) -> Attack:
    return Attack(name=name, moves=(Hold(opening=name, connections=connections, drip=drip),))


def _unread(name: str, connections: int, *more: Move, pages: int = 0) -> Attack:
    """Return an attack by clients that read nothing, and that lasts until the kernel has ended them."""
    moves = (Hold(opening=name, connections=connections), *more)
    return Attack(name=name, moves=moves, pages=pages, seconds=_UNREAD_S, stall_s=_STALL_S)


ATTACKS = (
    _repeated("rejects-with-attributes"),
    _repeated("rejects-from-a-few-bytes"),
    _repeated("gzip-of-arrays"),
    _repeated("gzip-of-depth"),
    _repeated("gzip-of-geojson"),
    _held("unfinished-chunks", 40),
    _unread("unread-documents", 6_000),
    _unread("unread-small-pages", 6_000, pages=12),
    _held("silent-sockets", 1_000),
    _held("slow-headers", 500, drip=True),
    _held("pipelined", 50),
    _unread("unread-tails", 100, Repeat(payload="large-record", connections=1, pause_s=0.2, times=6)),
    _held("one-write-key", 54),
    _unread("unread-pages", 40, pages=12),
    _unread("unread-exports", 8, pages=12),
    _repeated("forged-tokens", connections=4, pause_s=0.02),
)
"""Each is named after what it sends (payloads.py), or says on connections that it then holds (openings.py)."""


class UnknownAttackError(ValueError):
    """There is no attack of this name; the message lists them."""


def chosen(names: Sequence[str], seconds: float | None = None) -> tuple[Attack, ...]:
    """Return the attacks of these names, all for none, each for `seconds` where that is given.

    Raises:
        UnknownAttackError: a name is not one.
    """
    known = {attack.name: attack for attack in ATTACKS}
    for name in names:
        if name not in known:
            raise UnknownAttackError(f"there is no attack {name!r}; there are {', '.join(known)}")
    found = tuple(known[name] for name in names or known)
    if seconds is None:
        return found
    return tuple(msgspec.structs.replace(attack, seconds=seconds) for attack in found)
