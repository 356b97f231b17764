"""Decide what the demonstration publishes, and the expected result of every message. Pure.

Most flights travel alone; some in JSON arrays, in lines (NDJSON) or compressed. The weather of an hour is one array,
and the airports are lines. Between them are messages that cannot be stored, with the reason that the service must give
(mistakes.py). Every stream has a topic of its own; some messages take the shared one, and name their stream.
"""

import gzip
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sluice.local.demo.mistakes import BadRecord, Mistake, mistakes, mistakes_of_streams
from sluice.local.flights.streams import STREAMS

RUN, NUMBER = "run", "message"
"""Message attributes that identify the run of the demonstration and the message."""

CYCLE = 100
"""The shapes repeat after this many flights, so that a short run also has all of them."""
ALONE, COMPRESSED, ORDERED, ARRAY, LINES = 80, 4, 4, 6, 4
"""The number of flights per cycle: alone, alone and compressed, alone with an ordering key, in one array, in one
message of lines; the rest goes into a compressed array."""
STATIONS, AIRPORTS_PER_MESSAGE = 3, 10
SHARED_EVERY = 5
"""One message in so many takes the topic that all streams share."""
REDELIVER_EVERY = 500


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A message to publish and its expected result: the good records and the bad ones, by position."""

    number: int
    stream: str
    """The stream that must take it; empty: none."""
    is_shared: bool
    """Whether it takes the topic that all streams share; otherwise that of its stream."""
    data: bytes
    attributes: dict[str, str]
    ordering_key: str = ""
    good: dict[int, msgspec.Struct] = {}
    bad: dict[int, BadRecord] = {}
    title: str = ""
    """The defect of the message, for the report; empty if there is none."""
    redeliver: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All messages of a run, in order; a message's number is its position."""

    run: str
    messages: Sequence[Planned]

    @property
    def good_count(self) -> int:
        """How many records must be stored."""
        return sum(len(message.good) for message in self.messages)

    @property
    def bad_count(self) -> int:
        """How many records must be rejected."""
        return sum(len(message.bad) for message in self.messages)


class Rows(msgspec.Struct, frozen=True):
    """The records to publish, by stream; the weather by time, each hour at all stations."""

    flights: Sequence[dict[str, Any]]
    weather: Sequence[dict[str, Any]]
    airports: Sequence[dict[str, Any]]


def make_plan(records: Rows, run: str) -> Plan:
    """Return the plan for these records; there must be at least CYCLE flights, an hour and an airport."""
    rows = records.flights
    if len(rows) < CYCLE:
        raise ValueError(f"{len(rows)} flights: the demonstration needs at least {CYCLE}")
    shapes = [shape for start in range(0, len(rows), CYCLE) for shape in _shapes(rows[start : start + CYCLE])]
    others = [
        *(_Shape("weather", hour, array=True) for hour in _cut(records.weather, STATIONS)),
        *(_Shape("airports", several, lines=True) for several in _cut(records.airports, AIRPORTS_PER_MESSAGE)),
    ]
    all_mistakes = [*mistakes(rows), *mistakes_of_streams(records.weather[0], records.airports[0])]
    wrong = [_Shape(mistake.stream, mistake=mistake) for mistake in all_mistakes]
    return Plan(run=run, messages=_number(_spread(wrong, _spread(others, shapes)), run))


class _Shape(msgspec.Struct, frozen=True):
    """A message before it has a number."""

    stream: str
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
        yield _Shape("flights", [row], ordered=ALONE <= position < ordered, compressed=position >= ordered)
    array, lines = compressed + ARRAY, compressed + ARRAY + LINES
    cuts = (
        _Shape("flights", rows[compressed:array], array=True),
        _Shape("flights", rows[array:lines], lines=True),
        _Shape("flights", rows[lines:], array=True, compressed=True),
    )
    yield from (shape for shape in cuts if shape.rows)


def _cut(rows: Sequence[dict[str, Any]], size: int) -> list[Sequence[dict[str, Any]]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


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


def _number(shapes: Iterable[_Shape], run: str) -> list[Planned]:
    """Make messages of the shapes; the first of each kind and then one in REDELIVER_EVERY is delivered twice."""
    seen: set[tuple[Any, ...]] = set()
    messages = []
    for number, shape in enumerate(shapes):
        is_shared = not shape.stream or number % SHARED_EVERY == 0
        packing = (shape.array, shape.lines, shape.compressed, shape.ordered)
        kind = (shape.stream, is_shared, *packing, shape.mistake is not None)
        redeliver = kind not in seen or number % REDELIVER_EVERY == 0
        seen.add(kind)
        attributes = {RUN: run, NUMBER: str(number)} | (_naming(shape.stream, number) if is_shared else {})
        made = _good_message(shape) if shape.mistake is None else _bad_message(shape.mistake)
        messages.append(
            msgspec.structs.replace(
                made, number=number, is_shared=is_shared, attributes=attributes | made.attributes, redeliver=redeliver
            )
        )
    return messages


def _naming(stream: str, number: int) -> dict[str, str]:
    """Return an attribute by which a message on the shared topic names its stream, in either of two ways."""
    if not stream:
        return {}
    declared = STREAMS[stream].attributes["ce-type"]
    return {"stream": stream} if number % 2 or not isinstance(declared, str) else {"ce-type": declared}


def _bad_message(mistake: Mistake) -> Planned:
    return Planned(
        number=-1,
        stream=mistake.stream,
        is_shared=False,
        data=mistake.data,
        attributes=mistake.attributes,
        good=_records(mistake.stream, mistake.good),
        bad=mistake.bad,
        title=mistake.title,
    )


def _good_message(shape: _Shape) -> Planned:
    attributes = {}
    if shape.lines:
        data = b"\n".join(map(msgspec.json.encode, shape.rows))
        attributes["content-type"] = "application/x-ndjson"
    else:
        data = msgspec.json.encode(shape.rows if shape.array else shape.rows[0])
    if shape.compressed:
        data = gzip.compress(data, mtime=0)
        attributes["content-encoding"] = "gzip"
    return Planned(
        number=-1,
        stream=shape.stream,
        is_shared=False,
        data=data,
        attributes=attributes,
        ordering_key=shape.rows[0]["carrier"] if shape.ordered else "",
        good=_records(shape.stream, dict(enumerate(shape.rows))),
    )


def _records(stream: str, rows: dict[int, dict[str, Any]]) -> dict[int, msgspec.Struct]:
    return {position: msgspec.convert(row, STREAMS[stream].record) for position, row in rows.items()}
