"""The attacks, as data: what is sent, on how many connections, for how long. Pure."""

from collections.abc import Sequence

import msgspec

DEFAULT_S = 12.0


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Open `connections`, say an opening on each (tests/attack/openings.py), and read nothing until the end.

    With `drip` a byte follows every second; with `receive_bytes` so little of an answer fits into the kernel.
    """

    opening: str
    connections: int
    drip: bool = False
    receive_bytes: int = 4_096


class Repeat(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send a payload (tests/attack/payloads.py) over and over, each connection `pause_s` after it was answered."""

    payload: str
    connections: int
    pause_s: float
    times: int | None = None
    """How often altogether; None is until the end."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Stop the process (SIGSTOP) for all of the time, then let it go on."""


Move = Hold | Repeat | Stop


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """One attack: its moves begin one after another and go on together.

    `open_files` is the service's limit of them (0: the shell's); `pages` is how many messages of large records are
    stored beforehand; `is_silence` where the process cannot answer meanwhile, so only the rest is judged.
    """

    name: str
    what: str
    moves: tuple[Move, ...]
    seconds: float = DEFAULT_S
    open_files: int = 0
    pages: int = 0
    is_silence: bool = False


ATTACKS = (
    Attack(
        name="rejects-with-attributes",
        what="8,000 records `{}` with 100 attributes of 1 KB: 130 KB a message",
        moves=(Repeat(payload="rejects_with_large_attributes", connections=2, pause_s=0.5),),
    ),
    Attack(
        name="rejects-by-number",
        what="20,000 records `1` with 99 attributes of 1 KB: 160 KB a message",
        moves=(Repeat(payload="rejects_by_number", connections=2, pause_s=0.5),),
    ),
    Attack(
        name="rejects-from-a-few-bytes",
        what="gzip of about 100 bytes that is 20,000 lines, each rejected",
        moves=(Repeat(payload="rejects_from_a_few_bytes", connections=2, pause_s=0.5),),
    ),
    Attack(
        name="gzip-of-arrays",
        what="30 KB of gzip: seven records of 4 MiB of `[[],[],…]`",
        moves=(Repeat(payload="empty_arrays", connections=2, pause_s=0.5),),
    ),
    Attack(
        name="gzip-of-depth",
        what="84 KB of gzip: 20,000 records 700 levels deep",
        moves=(Repeat(payload="deep_records", connections=2, pause_s=0.5),),
    ),
    Attack(
        name="gzip-of-geojson",
        what="130 KB of gzip: 28 MiB of coordinates",
        moves=(Repeat(payload="geojson", connections=2, pause_s=0.5),),
    ),
    Attack(
        name="unfinished-chunks",
        what="40 chunked pushes of 13 MB that do not end",
        moves=(Hold(opening="unfinished_chunks", connections=40),),
    ),
    Attack(
        name="http2-unread",
        what="50 HTTP/2 connections with 190 streams that never read the OpenAPI document",
        moves=(Hold(opening="unread_streams", connections=50),),
    ),
    Attack(
        name="http1-unread",
        what="2,500 connections that never read the OpenAPI document",
        moves=(Hold(opening="unread_document", connections=2_500),),
    ),
    Attack(
        name="silent-sockets",
        what="1,100 connections that send nothing, of 1,024 open files",
        moves=(Hold(opening="silent", connections=1_100),),
        open_files=1_024,
    ),
    Attack(
        name="http2-prefaces",
        what="1,100 HTTP/2 prefaces without a request, of 1,024 open files",
        moves=(Hold(opening="preface_only", connections=1_100),),
        open_files=1_024,
    ),
    Attack(
        name="slow-headers",
        what="500 requests whose headers come at a byte a second",
        moves=(Hold(opening="slow_headers", connections=500, drip=True),),
    ),
    Attack(
        name="pipelined",
        what="50 connections with 200 pipelined requests of the OpenAPI document, none read",
        moves=(Hold(opening="pipelined", connections=50),),
    ),
    Attack(
        name="unread-tails",
        what="100 tails of two callers that do not read, and six records of 3.9 MB",
        moves=(
            Hold(opening="unread_tail", connections=100),
            Repeat(payload="large_record", connections=1, pause_s=0.2, times=6),
        ),
    ),
    Attack(
        name="one-write-key",
        what="54 POSTs of one key that announce more than 128 MiB together and send nothing",
        moves=(Hold(opening="body_that_never_comes", connections=54),),
    ),
    Attack(
        name="unread-pages",
        what="twenty pages of 12 MB and twenty of 400 KB of one key that are not read",
        moves=(Hold(opening="unread_page", connections=40),),
        pages=12,
    ),
    Attack(
        name="unread-exports",
        what="eight exports of two keys that are not read",
        moves=(Hold(opening="unread_export", connections=8),),
        pages=12,
    ),
    Attack(
        name="forged-tokens",
        what="pushes with 24 KB of a token whose key nobody knows",
        moves=(Repeat(payload="forged_token", connections=4, pause_s=0.02),),
    ),
    Attack(
        name="stopped-process",
        what="the process is stopped (SIGSTOP) and goes on later",
        moves=(Stop(),),
        is_silence=True,
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
