"""Decide what the demonstration publishes, and the expected result of every message. Pure.

Most flights travel alone; some in JSON arrays, in lines (NDJSON) or compressed. Between them are messages that cannot
be stored, with the reason that the service must give (dev/demo/mistakes.py).
"""

import gzip
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dev.demo.mistakes import BadRecord, Mistake, mistakes
from examples.flights.record import Flight

RUN, NUMBER = "run", "message"
"""Message attributes that identify the run of the demonstration and the message."""

CYCLE = 100
"""The shapes repeat after this many flights, so that a short run also has all of them."""
ALONE, COMPRESSED, ORDERED, ARRAY, LINES = 80, 4, 4, 6, 4
"""The number of flights per cycle: alone, alone and compressed, alone with an ordering key, in one array, in one
message of lines; the rest goes into a compressed array."""
REDELIVER_EVERY = 500
STEADY_SHARE, STEADY_MOST = 10, 300


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A message to publish and its expected result: the good records and the bad ones, by position."""

    number: int
    data: bytes
    attributes: dict[str, str]
    ordering_key: str = ""
    good: dict[int, Flight] = {}
    bad: dict[int, BadRecord] = {}
    title: str = ""
    """The defect of the message, for the report; empty if there is none."""
    redeliver: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All messages of a run: `flood` as fast as possible, then `steady` at an even pace."""

    run: str
    flood: Sequence[Planned]
    steady: Sequence[Planned]

    @property
    def messages(self) -> list[Planned]:
        """All messages, in order; a message's number is its position."""
        return [*self.flood, *self.steady]

    @property
    def good_count(self) -> int:
        """How many records must be stored."""
        return sum(len(message.good) for message in self.messages)

    @property
    def bad_count(self) -> int:
        """How many records must be rejected."""
        return sum(len(message.bad) for message in self.messages)


def make_plan(rows: Sequence[dict[str, Any]], run: str) -> Plan:
    """Return the plan for these flights; there must be at least CYCLE of them."""
    if len(rows) < CYCLE:
        raise ValueError(f"{len(rows)} flights: the demonstration needs at least {CYCLE}")
    steady_count = min(STEADY_MOST, len(rows) // STEADY_SHARE)
    flooded, paced = rows[:-steady_count], rows[-steady_count:]
    shapes = [shape for start in range(0, len(flooded), CYCLE) for shape in _shapes(flooded[start : start + CYCLE])]
    wrong = [_wrong(mistake) for mistake in mistakes(rows)]
    flood = _number(_spread(wrong, shapes), run, first=0)
    steady = _number([_Shape(rows=[row]) for row in paced], run, first=len(flood))
    return Plan(run=run, flood=flood, steady=steady)


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A message before it has a number."""

    rows: Sequence[dict[str, Any]] = ()
    lines: bool = False
    array: bool = False
    compressed: bool = False
    ordered: bool = False
    mistake: Mistake | None = None


def _shapes(rows: Sequence[dict[str, Any]]) -> Iterable[_Shape]:
    """Cut one cycle of flights into messages."""
    ordered, compressed = ALONE + ORDERED, ALONE + ORDERED + COMPRESSED
    for position, row in enumerate(rows[:compressed]):
        yield _Shape(rows=[row], ordered=ALONE <= position < ordered, compressed=position >= ordered)
    array, lines = compressed + ARRAY, compressed + ARRAY + LINES
    cuts = (
        _Shape(rows=rows[compressed:array], array=True),
        _Shape(rows=rows[array:lines], lines=True),
        _Shape(rows=rows[lines:], array=True, compressed=True),
    )
    yield from (shape for shape in cuts if shape.rows)


def _wrong(mistake: Mistake) -> _Shape:
    return _Shape(mistake=mistake)


def _spread(few: Sequence[_Shape], many: Sequence[_Shape]) -> list[_Shape]:
    """Return both, with the few spread evenly among the many."""
    gap = len(many) / len(few)
    spread: list[_Shape] = []
    taken = 0
    for position, shape in enumerate(few):
        end = round((position + 0.5) * gap)
        spread += [*many[taken:end], shape]
        taken = end
    return [*spread, *many[taken:]]


def _number(shapes: Iterable[_Shape], run: str, first: int) -> list[Planned]:
    """Make messages of the shapes; the first of each kind and then one in REDELIVER_EVERY is delivered twice."""
    seen: set[tuple[bool, ...]] = set()
    messages = []
    for number, shape in enumerate(shapes, first):
        kind = (shape.array, shape.lines, shape.compressed, shape.ordered, shape.mistake is not None)
        redeliver = kind not in seen or number % REDELIVER_EVERY == 0
        seen.add(kind)
        attributes = {RUN: run, NUMBER: str(number)}
        if shape.mistake is not None:
            messages.append(_bad_message(shape.mistake, number, attributes, redeliver=redeliver))
        else:
            messages.append(_good_message(shape, number, attributes, redeliver=redeliver))
    return messages


def _bad_message(mistake: Mistake, number: int, attributes: dict[str, str], *, redeliver: bool) -> Planned:
    return Planned(
        number=number,
        data=mistake.data,
        attributes=attributes | mistake.attributes,
        good=_flights(mistake.good),
        bad=mistake.bad,
        title=mistake.title,
        redeliver=redeliver,
    )


def _good_message(shape: _Shape, number: int, attributes: dict[str, str], *, redeliver: bool) -> Planned:
    if shape.lines:
        data = b"\n".join(map(msgspec.json.encode, shape.rows))
        attributes["content-type"] = "application/x-ndjson"
    else:
        data = msgspec.json.encode(shape.rows if shape.array else shape.rows[0])
    if shape.compressed:
        data = gzip.compress(data, mtime=0)
        attributes["content-encoding"] = "gzip"
    return Planned(
        number=number,
        data=data,
        attributes=attributes,
        ordering_key=shape.rows[0]["carrier"] if shape.ordered else "",
        good=_flights(dict(enumerate(shape.rows))),
        redeliver=redeliver,
    )


def _flights(rows: dict[int, dict[str, Any]]) -> dict[int, Flight]:
    return {position: msgspec.convert(row, Flight) for position, row in rows.items()}
