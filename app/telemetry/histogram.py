"""A histogram that costs an addition to record.

OpenTelemetry's own takes 4 to 7 microseconds a value (bench/telemetry), which a push would pay twice. This one takes a
tenth, and becomes OpenTelemetry's data on collection (app/telemetry/collection.py).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import msgspec

from app.telemetry.instruments import Instrument


class Point(msgspec.Struct):
    """The values recorded for one set of attributes; `counts` has one more entry than there are bounds."""

    counts: list[int]
    total: float = 0.0
    least: float = float("inf")
    greatest: float = float("-inf")


class Histogram:
    """Counts values by bucket, for each combination of the instrument's attributes."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._bounds: Sequence[float] = instrument.bounds
        self._points: dict[tuple[str | int, ...], Point] = {}

    def record(self, value: float, *attributes: str | int) -> None:
        """Count `value`; `attributes` are the values of the instrument's attributes, in their order."""
        point = self._points.get(attributes)
        if point is None:
            point = self._points[attributes] = Point([0] * (len(self._bounds) + 1))
        point.counts[bisect_left(self._bounds, value)] += 1  # a bound belongs to the bucket below it
        point.total += value
        if value < point.least:  # noqa: PLR1730 - min() and max() cost as much as all the rest
            point.least = value
        if value > point.greatest:  # noqa: PLR1730 - likewise
            point.greatest = value

    def points(self) -> Iterator[tuple[dict[str, str | int], Point]]:
        """Yield the attributes of each point that has values, and a copy of the point.

        Exporters call this from their own threads while values are recorded, so consistent data must be copied at once.
        """
        for values, point in [*self._points.items()]:
            counts = [*point.counts]
            if any(counts):
                attributes = dict(zip(self.instrument.attributes, values, strict=True))
                yield attributes, Point(counts, point.total, point.least, point.greatest)
