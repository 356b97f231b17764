"""The counts of this process, as plain numbers: counting costs an addition, and collectors read them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from app.schema.table import RECORDS
from app.schema.undeclared_members import Outcome
from app.telemetry import instruments
from app.telemetry.instruments import Instrument


class Point(msgspec.Struct):
    """The values recorded for one set of attributes; `counts` has one more entry than there are bounds."""

    counts: list[int]
    total: float = 0.0


class Histogram:
    """Counts values by bucket, for each combination of the instrument's attributes."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._bounds: Sequence[float] = instrument.bounds
        self._points: dict[tuple[str | int, ...], Point] = {values: self._empty() for values in instrument.starts}

    def record(self, value: float, *attributes: str | int) -> None:
        """Count `value`; `attributes` are the values of the instrument's attributes, in their order."""
        point = self._points.get(attributes)
        if point is None:
            point = self._points[attributes] = self._empty()
        point.counts[bisect_left(self._bounds, value)] += 1  # a bound belongs to the bucket below it
        point.total += value

    def points(self) -> Iterator[tuple[dict[str, str | int], Point]]:
        """Yield the attributes of each point, and a copy of it; points of the instrument's `starts` may have no values.

        Exporters call this from their own threads while values are recorded, so consistent data must be copied at once.
        """
        for values, point in [*self._points.items()]:
            attributes = dict(zip(self.instrument.attributes, values, strict=True))
            yield attributes, Point([*point.counts], point.total)

    def _empty(self) -> Point:
        return Point([0] * (len(self._bounds) + 1))


Values = Iterable[tuple[float, Mapping[str, str | int]]]
"""A metric's values with their attributes."""


NO_STREAM = "-"
"""The stream of rejects that are of none, in the metrics; no stream has such a name."""


class Metrics:
    """The numbers of one process since it started, of these `streams`.

    `gauges` are functions that return current values on collection, such as what is in flight or open.
    """

    def __init__(self, streams: Sequence[str] = (RECORDS,)) -> None:
        self.stored_records: Counter[str] = Counter(dict.fromkeys(streams, 0))
        """By stream, like the next one."""
        self.duplicate_messages: Counter[str] = Counter(dict.fromkeys(streams, 0))
        self.undeclared_members: Counter[tuple[Outcome, str]] = Counter()
        """By outcome and stream."""
        self.unproved_messages = 0
        self.canaries_missed = 0
        self.rejected_records: Counter[tuple[str, str]] = Counter({("invalid", stream): 0 for stream in streams})
        """By reason and stream; NO_STREAM where no stream takes the message."""
        self.late_rows: Counter[str] = Counter()
        """By table."""
        """By table."""
        self.query_bytes: Counter[str] = Counter()
        """By purpose."""
        self.window_reads: Counter[str] = Counter(loaded=0, read=0, shared=0, passed_on=0)
        """By outcome."""
        self.byte_budget_refusals: Counter[str] = Counter(caller=0, instance=0)
        """By whose budget was used up."""
        self.cache_answers: Counter[str] = Counter()
        """By state."""
        self.message_delay = Histogram(instruments.PUBLISH_TO_STORED)
        self.append_duration = Histogram(instruments.APPEND_DURATION)
        self.append_rows = Histogram(instruments.APPEND_ROWS)
        self.append_size = Histogram(instruments.APPEND_SIZE)
        self.request_duration = Histogram(instruments.REQUEST_DURATION)
        self.query_duration = Histogram(instruments.QUERY_DURATION)
        self.canary_delay = Histogram(instruments.CANARY_DELAY)
        self.gauges: dict[Instrument, Callable[[], Values]] = {}

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """All histograms."""
        return tuple(value for value in vars(self).values() if isinstance(value, Histogram))

    def counts(self) -> dict[Instrument, Callable[[], Values]]:
        """Return the functions that return the values of each counter."""
        return {
            instruments.RECORDS_STORED: lambda: _each(self.stored_records, "stream"),
            instruments.RECORDS_REJECTED: lambda: [
                (count, {"reason": reason, "stream": stream})
                for (reason, stream), count in [*self.rejected_records.items()]
            ],
            instruments.MEMBERS_UNDECLARED: lambda: [
                (count, {"outcome": outcome, "stream": stream})
                for (outcome, stream), count in [*self.undeclared_members.items()]
            ],
            instruments.MESSAGES_UNPROVED: lambda: _one(self.unproved_messages),
            instruments.MESSAGES_DUPLICATE: lambda: _each(self.duplicate_messages, "stream"),
            instruments.ROWS_LATE: lambda: _each(self.late_rows, "table"),
            instruments.QUERY_BYTES: lambda: _each(self.query_bytes, "purpose"),
            instruments.WINDOW_READS: lambda: _each(self.window_reads, "outcome"),
            instruments.BYTE_BUDGET_REFUSALS: lambda: _each(self.byte_budget_refusals, "whose"),
            instruments.CACHE_ANSWERS: lambda: _each(self.cache_answers, "state"),
            instruments.CANARY_MISSED: lambda: _one(self.canaries_missed),
        }


def _one(value: float) -> Values:
    return [(value, {})]


def _each(counter: Counter[str], attribute: str) -> Values:
    return [(count, {attribute: value}) for value, count in [*counter.items()]]
