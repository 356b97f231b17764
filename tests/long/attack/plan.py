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
    what: str
    moves: tuple[Move, ...]
    seconds: float = DEFAULT_S
    pages: int = 0
    stall_s: float | None = None


def _repeated(name: str, payload: str, what: str, *, connections: int = 2, pause_s: float = 0.5) -> Attack:
    return Attack(name=name, what=what, moves=(Repeat(payload=payload, connections=connections, pause_s=pause_s),))


def _held(name: str, opening: str, connections: int, what: str, *, drip: bool = False, pages: int = 0) -> Attack:
    move = Hold(opening=opening, connections=connections, drip=drip)
    return Attack(name=name, what=what, moves=(move,), pages=pages)


def _unread(name: str, opening: str, connections: int, what: str, *, pages: int = 0) -> Attack:
    """Return an attack by clients that read nothing, and that lasts until the kernel has ended them."""
    move = Hold(opening=opening, connections=connections)
    return Attack(name=name, what=what, moves=(move,), pages=pages, seconds=_UNREAD_S, stall_s=_STALL_S)


ATTACKS = (
    _repeated(
        "rejects-with-attributes",
        "rejects_with_large_attributes",
        "8,000 records `{}` with 100 attributes of 1 KB: 130 KB a message",
    ),
    _repeated(
        "rejects-from-a-few-bytes",
        "rejects_from_a_few_bytes",
        "gzip of about 100 bytes that is 20,000 lines, each rejected",
    ),
    _repeated("gzip-of-arrays", "empty_arrays", "30 KB of gzip: seven records of 4 MiB of `[[],[],…]`"),
    _repeated("gzip-of-depth", "deep_records", "84 KB of gzip: 20,000 records 700 levels deep"),
    _repeated("gzip-of-geojson", "geojson", "130 KB of gzip: 28 MiB of coordinates"),
    _held("unfinished-chunks", "unfinished_chunks", 40, "40 chunked pushes of 13 MB that do not end"),
    _unread(
        "unread-documents", "unread_document", 6_000, "6,000 connections that never read the OpenAPI document, no token"
    ),
    _unread(
        "unread-small-pages",
        "unread_small_page",
        6_000,
        "6,000 connections of one key that never read a page of 320 KB",
        pages=12,
    ),
    _held("silent-sockets", "silent", 1_000, "1,000 connections that send nothing"),
    _held("slow-headers", "slow_headers", 500, "500 requests whose headers come at a byte a second", drip=True),
    _held(
        "pipelined", "pipelined", 50, "50 connections with 200 pipelined requests of the OpenAPI document, none read"
    ),
    Attack(
        name="unread-tails",
        what="100 tails of two callers that do not read, and six records of 3.9 MB",
        moves=(
            Hold(opening="unread_tail", connections=100),
            Repeat(payload="large_record", connections=1, pause_s=0.2, times=6),
        ),
        seconds=_UNREAD_S,
        stall_s=_STALL_S,
    ),
    _held(
        "one-write-key",
        "body_that_never_comes",
        54,
        "54 POSTs of one key that announce more than 128 MiB together and send nothing",
    ),
    _unread(
        "unread-pages",
        "unread_page",
        40,
        "twenty pages of 6 MB and twenty of 400 KB of one key that are not read",
        pages=12,
    ),
    _unread("unread-exports", "unread_export", 8, "eight exports of two keys that are not read", pages=12),
    _repeated(
        "forged-tokens",
        "forged_token",
        "pushes with 24 KB of a token whose key nobody knows",
        connections=4,
        pause_s=0.02,
    ),
)


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
