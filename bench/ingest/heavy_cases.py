"""Messages that are small or large, within every documented limit on bytes and counts, and heavy."""

import gzip
import random
from collections.abc import Callable
from datetime import UTC, datetime

from app.ingest.decode.envelope import Message

_MIB = 1024**2
_NDJSON = {"content-type": "application/x-ndjson"}


def _record(data: bytes, record_id: str = "a") -> bytes:
    return b'{"id":"%b","timestamp":"2026-01-31T12:00:00Z","data":%b}' % (record_id.encode(), data)


def _filled(unit: bytes, size: int = 4 * _MIB - 100) -> bytes:
    """Return an array of about `size` bytes that repeats `unit`, which ends in a comma."""
    return b"[" + unit * (size // len(unit)) + b"1]"


def _geojson(size: int) -> bytes:
    """Return the boundary of a region, with coordinates as maps have them."""
    dice = random.Random(7)
    line = ",".join(f"[{dice.uniform(-180, 180):.7f},{dice.uniform(-90, 90):.7f}]" for _ in range(5_000)).encode()
    ring = b"[" + b",".join([line] * (size // len(line))) + b"]"
    return b'{"type":"Feature","properties":{"name":"a"},"geometry":{"type":"Polygon","coordinates":[' + ring + b"]}}"


def _message(data: bytes, attributes: dict[str, str] | None = None, *, zipped: bool = True) -> Callable[[str], Message]:
    attributes = dict(attributes or {})
    if zipped:
        attributes["content-encoding"], data = "gzip", gzip.compress(data, 6, mtime=0)

    def make(number: str) -> Message:
        return Message(
            key=f"{number}:0",
            data=bytes(bytearray(data)),  # each message has bytes of its own
            content_type=attributes.get("content-type", ""),
            content_encoding=attributes.get("content-encoding", ""),
            attributes=attributes,
            message_id=number,
            publish_time=datetime(2026, 1, 31, 12, tzinfo=UTC),
        )

    return make


def _array(record: bytes, count: int) -> bytes:
    return b"[" + b",".join([record] * count) + b"]"


def _bulk() -> bytes:
    dice = random.Random(7)
    words = ["alpha", "bravo, with a comma", "charlie [bracket]", "delta {brace}", "echo: colon", "föxtrot"]
    fields = ",".join(f'"field{number}":"{dice.choice(words)} {dice.random():.12f}"' for number in range(35))
    return b"\n".join(_record(b"{" + fields.encode() + b"}", f"order-{number}") for number in range(18_000))


_LARGE_ATTRIBUTES = {f"name{number}": "x" * 1_000 for number in range(100)}
CASES: dict[str, Callable[[], Callable[[str], Message]]] = {
    "8,000 empty records, 100 KB of attributes": lambda: _message(_array(b"{}", 8_000), _LARGE_ATTRIBUTES),
    "20,000 numbers, 99 attributes": lambda: _message(_array(b"1", 20_000), dict(list(_LARGE_ATTRIBUTES.items())[:99])),
    "20,000 numbers": lambda: _message(_array(b"1", 20_000)),
    "7 records of 4 MiB of empty lists": lambda: _message(_array(_record(_filled(b"[],")), 7)),
    "one record of 4 MiB of empty lists": lambda: _message(_record(_filled(b"[],"))),
    "20,000 records 700 deep": lambda: _message(_array(_record(b"[" * 700 + b"]" * 700), 20_000)),
    "GeoJSON, 28 MiB in 7 records": lambda: _message(_array(_record(_geojson(4 * _MIB - 400_000)), 7)),
    "GeoJSON, one record of 3.6 MiB": lambda: _message(_record(_geojson(4 * _MIB - 400_000)), zipped=False),
    "18,000 records of 1.5 KB": lambda: _message(_bulk(), _NDJSON),
    "32 MiB of blank lines": lambda: _message(b"\n" * (32 * _MIB - 1), _NDJSON),
    "7 records of 4 MiB of 1e308": lambda: _message(_array(_record(_filled(b"1e308,")), 7)),
    "7 records of 4 MiB of text": lambda: _message(_array(_record(b'"' + b",[{:" * (_MIB - 100) + b'"'), 7)),
    "at the ceiling: 5 records of 999,000 values": lambda: _message(
        b"\n".join([_record(_filled(b'{"a":1},', 333_000 * 8))] * 5), _NDJSON
    ),
    "at the ceiling: one record of 999,000 values": lambda: _message(_record(_filled(b"[],", 499_000 * 3))),
    "at the ceiling: 1,000 rejects of 31 KB": lambda: _message(_array(b'"' + b"x" * 31_000 + b'"', 1_000)),
    "at the ceiling: 20,000 rows of 3 KB": lambda: _message(
        b"\n".join([_record(b'"' + b"x" * 1_500 + b'"')] * 19_000), {**_NDJSON, "note": "x" * 1_500}
    ),
    "128 KiB of 1e308": lambda: _message(_record(_filled(b"1e308,", 128 * 1024 - 100)), zipped=False),
    "128 KiB of records": lambda: _message(_array(_record(b"1"), 2_200), zipped=False),
}
