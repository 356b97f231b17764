"""Cut a window into slices, so that a page reads no more of the table than it needs.

Nobody knows how dense the rows lie, so the first slice is short and each next one is several times as long, up
to a limit. The store is asked slice by slice until the page is full: where rows are plenty the first slice has
them all, and an idle month is over after three dozen queries. Where rows are so plenty that the store refuses to read
a long slice, that one is cut, and the next ones are tried as they were planned.

What a store reads whole, whatever part of it is asked for, is a partition: BigQuery's tables have one an hour. So
slices end where partitions do, and no two of them pay for the rows of one. (What copies are found by is read of a
quarter of an hour before it, too.)
"""

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from app.runtime.instants import DAY_US

_GROWTH = 6


class Slice(msgspec.Struct, frozen=True):
    """A part of a window: [from_us, to_us)."""

    from_us: int
    to_us: int


def feed_slices(
    whole: Slice, *, descending: bool, first_us: int, partition_us: int = 1, longest_us: int | None = DAY_US
) -> Iterator[Slice]:
    """Yield the slices of `whole`, the ones to be read first first.

    The first is as long as `first_us`, what is thought to be worth a query (`QueryRunner.first_slice_us`), and goes on
    to the end of its last partition; from there on they grow up to `longest_us`, each of whole partitions.
    """
    since_us, until_us, length_us = whole.from_us, whole.to_us, first_us
    while since_us < until_us:
        if descending:
            edge_us = max((until_us - length_us) // partition_us * partition_us, since_us)
            part, until_us = Slice(edge_us, until_us), edge_us
        else:
            edge_us = min(-(-(since_us + length_us) // partition_us) * partition_us, until_us)
            part, since_us = Slice(since_us, edge_us), edge_us
        yield part
        # By what was covered: behind the last minute of a partition comes the next one, and not six.
        length_us = max((part.to_us - part.from_us) * _GROWTH, partition_us)
        if longest_us is not None:
            length_us = min(length_us, longest_us)


def cut(part: Slice, *, descending: bool, unit_us: int) -> list[Slice]:
    """Return the pieces of a slice that is too much for one query, the ones to be read first first.

    Time is cut at multiples of `unit_us` only, a partition or what is worth a query. There are up to six pieces, of as
    many units each but for the last; and none where the slice lies within one.
    """
    first, beyond = part.from_us // unit_us, -(-part.to_us // unit_us)
    count = max(-(-(beyond - first) // _GROWTH), 1)
    if descending:
        inner = [number * unit_us for number in range(beyond - count, first, -count)][::-1]
    else:
        inner = [number * unit_us for number in range(first + count, beyond, count)]
    if not inner:
        return []
    edges = [part.from_us, *inner, part.to_us]
    pieces = [Slice(*each) for each in pairwise(edges)]
    return pieces[::-1] if descending else pieces


def look_up_slices(since_us: int, until_us: int, *, first_us: int) -> Iterator[Slice]:
    """Yield the slices of a search for one id, newest first.

    They begin at `first_us` (`QueryRunner.first_look_up_us`) and grow without a limit. A look-up is billed by what its
    id's rows lie among, so they end anywhere.
    """
    return feed_slices(Slice(since_us, until_us), descending=True, first_us=first_us, longest_us=None)
