"""Cut a window into slices, so that a page reads no more of the table than it needs.

Nobody knows how dense the rows lie, so the first slice is short and each next one is several times as long, up
to a limit. The store is asked slice by slice until the page is full: where rows are plenty the first slice has
them all, and an idle month is over after three dozen queries. Where rows are so plenty that the store refuses to read
a long slice, that one is cut, and the next ones are tried as they were planned.
"""

from collections.abc import Iterator

import msgspec

from app.query.instants import DAY_US

_GROWTH = 6


class Slice(msgspec.Struct, frozen=True):
    """A part of a window: [from_us, to_us)."""

    from_us: int
    to_us: int


def feed_slices(
    since_us: int, until_us: int, *, descending: bool, first_us: int, longest_us: int | None = DAY_US
) -> Iterator[Slice]:
    """Yield the slices of [since_us, until_us), the ones to be read first first; none of them exceeds `longest_us`.

    They begin at `first_us`, what the store says is worth a query (`QueryRunner.first_slice_us`).
    """
    return _slices(since_us, until_us, descending=descending, first_us=first_us, longest_us=longest_us)


def cut(part: Slice, *, descending: bool, shortest_us: int) -> list[Slice]:
    """Return the pieces of a slice that is too much for one query, the ones to be read first first.

    Each is a sixth of it, but no shorter than `shortest_us`; there are none where it is no longer than that itself.
    """
    length_us = part.to_us - part.from_us
    if length_us <= shortest_us:
        return []
    piece_us = max(-(-length_us // _GROWTH), shortest_us)
    return [*_slices(part.from_us, part.to_us, descending=descending, first_us=piece_us, longest_us=piece_us)]


def look_up_slices(since_us: int, until_us: int, *, first_us: int) -> Iterator[Slice]:
    """Yield the slices of a search for one id, newest first.

    They begin at `first_us` (`QueryRunner.first_look_up_us`) and grow without a limit.
    """
    return _slices(since_us, until_us, descending=True, first_us=first_us, longest_us=None)


def _slices(
    since_us: int, until_us: int, *, descending: bool, first_us: int, longest_us: int | None
) -> Iterator[Slice]:
    length_us = first_us
    while since_us < until_us:
        if descending:
            edge_us = max(until_us - length_us, since_us)
            yield Slice(edge_us, until_us)
            until_us = edge_us
        else:
            edge_us = min(since_us + length_us, until_us)
            yield Slice(since_us, edge_us)
            since_us = edge_us
        length_us *= _GROWTH
        if longest_us is not None:
            length_us = min(length_us, longest_us)
