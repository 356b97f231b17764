"""Messages that cannot be stored, and the reject that the service must report for each. Pure."""

import gzip
from collections.abc import Sequence
from typing import Any

import msgspec

_NDJSON = {"content-type": "application/x-ndjson"}
_GZIP = {"content-encoding": "gzip"}


class BadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that must be rejected for this reason, at this field (None: no field), with exactly these bytes."""

    reason: str
    field: str | None = None
    raw: bytes


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """A message with at least one bad record; its good ones must still be stored. No `stream`: none takes it."""

    title: str
    data: bytes
    stream: str = "flights"
    attributes: dict[str, str] = {}
    good: dict[int, dict[str, Any]] = {}
    bad: dict[int, BadRecord]


def mistakes(rows: Sequence[dict[str, Any]]) -> list[Mistake]:
    """Return one message for each kind of mistake, made from the first of these flights."""
    return [*_not_json(rows[0]), *_not_a_flight(rows[0]), *_badly_packed(rows[0]), *_among_good_ones(rows)]


def mistakes_of_streams(weather: dict[str, Any], airport: dict[str, Any]) -> list[Mistake]:
    """Return mistakes in the other streams, made from one record of each, and messages that belong to no stream."""
    humid, shifted = _changed(weather, humidity_percent=130), _changed(airport, time_zone="UTC-05:00")
    encoded = msgspec.json.encode(weather)
    return [
        _invalid("an hour with a humidity of 130 %", humid, "humidity_percent", stream="weather"),
        _invalid("an offset instead of a time zone", shifted, "time_zone", stream="airports"),
        _invalid("an airport among the weather", msgspec.json.encode(airport), "code", stream="weather"),
        _alone("a message to the shared topic that names no stream", encoded, "unroutable", stream=""),
        _alone("one of an undeclared type of event", encoded, "unroutable", {"ce-type": "taxi"}, stream=""),
    ]


def _not_json(row: dict[str, Any]) -> list[Mistake]:
    encoded = msgspec.json.encode(row)
    return [
        _alone("not JSON", b"Flight UA 1545 left two minutes late.", "malformed"),
        _alone("JSON cut short", encoded[:-20], "malformed"),
        _alone("NaN, which is not valid JSON", _changed(row, distance_miles="?").replace(b'"?"', b"NaN"), "malformed"),
    ]


def _not_a_flight(row: dict[str, Any]) -> list[Mistake]:
    schedule = {**row["schedule"], "departure_local": "25:99"}
    without = {name: value for name, value in row.items() if name != "destination"}
    return [
        _invalid("a word instead of a number", _changed(row, flight_number="many"), "flight_number"),
        _invalid("an airline of six letters", _changed(row, carrier="United"), "carrier"),
        _invalid("a flight number out of range", _changed(row, flight_number=10_000), "flight_number"),
        _invalid("an airport that is not New York's", _changed(row, origin="SFO"), "origin"),
        _invalid("an impossible time, nested", _changed(row, schedule=schedule), "schedule.departure_local"),
        _invalid("a field that is not declared", _changed(row, gate="C12"), "gate"),
        _invalid("a required field left out", msgspec.json.encode(without), "destination"),
    ]


def _badly_packed(row: dict[str, Any]) -> list[Mistake]:
    packed = gzip.compress(msgspec.json.encode(row), mtime=0)
    return [
        _alone("declared as gzip but not compressed", msgspec.json.encode(row), "bad_encoding", attributes=_GZIP),
        _alone("gzip cut short", packed[:-12], "bad_encoding", attributes=_GZIP),
        _alone("an unknown encoding", packed, "bad_encoding", attributes={"content-encoding": "zip"}),
    ]


def _among_good_ones(rows: Sequence[dict[str, Any]]) -> list[Mistake]:
    good, wrong = list(rows[1:4]), _changed(rows[0], carrier="United")
    first, second, third = map(msgspec.json.encode, good)
    return [
        Mistake(
            title="an array with one bad flight among three good ones",
            data=b"[" + b",".join((first, wrong, second, third)) + b"]",
            good={0: good[0], 2: good[1], 3: good[2]},
            bad={1: BadRecord(reason="invalid", field="carrier", raw=wrong)},
        ),
        Mistake(
            title="lines of which one is not JSON and one is not a flight",
            data=b"\n".join((first, b"(a gap in the log)", second, wrong, third)),
            attributes=_NDJSON,
            good={0: good[0], 2: good[1], 4: good[2]},
            bad={
                1: BadRecord(reason="malformed", raw=b"(a gap in the log)"),
                3: BadRecord(reason="invalid", field="carrier", raw=wrong),
            },
        ),
    ]


def _alone(
    title: str, data: bytes, reason: str, attributes: dict[str, str] | None = None, stream: str = "flights"
) -> Mistake:
    bad = {0: BadRecord(reason=reason, raw=data)}
    return Mistake(title=title, data=data, stream=stream, attributes=attributes or {}, bad=bad)


def _invalid(title: str, data: bytes, field: str, stream: str = "flights") -> Mistake:
    bad = {0: BadRecord(reason="invalid", field=field, raw=data)}
    return Mistake(title=title, data=data, stream=stream, bad=bad)


def _changed(row: dict[str, Any], **changes: Any) -> bytes:
    return msgspec.json.encode(row | changes)
