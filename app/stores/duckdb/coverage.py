"""The stretches of time that an index covers. Pure."""

from bisect import bisect_left, bisect_right


class Coverage:
    """A set of instants (microseconds), as disjoint ranges [from_us, to_us) in ascending order."""

    def __init__(self) -> None:
        self._edges: list[int] = []
        """The beginning and end of each range in turn, so an instant is covered if an odd number are at or before it.
        """

    def add(self, from_us: int, to_us: int) -> None:
        """Cover a range."""
        self._replace(from_us, to_us, is_covered=True)

    def remove(self, from_us: int, to_us: int) -> None:
        """Cover a range no longer."""
        self._replace(from_us, to_us, is_covered=False)

    def _replace(self, from_us: int, to_us: int, *, is_covered: bool) -> None:
        if from_us >= to_us:
            return
        first, beyond = bisect_left(self._edges, from_us), bisect_right(self._edges, to_us)
        edges = [from_us] if first % 2 != is_covered else []
        edges += [to_us] if beyond % 2 != is_covered else []
        self._edges[first:beyond] = edges

    def covers(self, from_us: int, to_us: int) -> bool:
        """Return whether every instant of a range is covered."""
        return not self.gaps(from_us, to_us)

    def gaps(self, from_us: int, to_us: int) -> list[tuple[int, int]]:
        """Return the ranges within a range that are not covered, in ascending order."""
        inside = [edge for edge in self._edges if from_us < edge < to_us]
        edges = [from_us, *inside, to_us]
        is_covered = bisect_right(self._edges, from_us) % 2 == 1
        return [(edges[at], edges[at + 1]) for at in range(is_covered, len(edges) - 1, 2) if edges[at] < edges[at + 1]]
