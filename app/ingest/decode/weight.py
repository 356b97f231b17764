"""Estimate what JSON costs to read, before any of it is decoded. Pure."""

import random
from array import array
from itertools import accumulate

from app.schema.columns import Column, Kind, Mode

SMALL_BYTES = 128 * 1024
"""The most bytes, decompressed, of a message that may be read on the event loop, or of a record that is examined."""
SURELY_LIGHT_BYTES = 4 * 1024
"""Whatever is in so few bytes, reading it takes a few milliseconds."""
# A unit is about 0.1 µs. An object may be a record, with a row of its own. msgspec parses numbers close to the largest
# or the smallest double in 5 to 10 µs; no other number of so few bytes takes long.
_OBJECT, _LARGE_EXPONENT = 25, 100
_UNDECLARED = 40  # of a member that is kept or counted: Python code reads it
# Items of typed lists that Python code checks or converts one by one.
_ITEM_WEIGHTS = {Kind.NUMERIC: 25, Kind.STRUCT: 16, Kind.TIMESTAMP: 10, Kind.TIME: 10, Kind.DATE: 3, Kind.INT64: 3}
_CLOSED_WEIGHT, _UUID_WEIGHT = 6, 16
_LIGHT = 150_000
"""The most units of a text that is read on the event loop: about 15 ms."""

_WINDOWS, _WINDOW_BYTES = 32, 64
# Digits become 0 and signs disappear, so that `e-308` reads `e000`; commas and colons become commas.
_NORMALISED = bytes.maketrans(b"0123456789E[:", b"0000000000e,,")
_SIGNS = b"+-"
_BRACKETS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")


def is_light(text: bytes, value_weight: int) -> bool:
    """Return whether reading `text` takes about 15 ms at most, judged by windows of it at random positions.

    A text of 128 KiB that is a tenth heavy passes once in thirty times, and then takes 20 ms or so; one that is a fifth
    heavy once in a thousand. Nobody can choose where the windows are. `value_weight` is what the function
    below returns for the type.
    """
    size = len(text)
    if size <= SURELY_LIGHT_BYTES:
        return True
    starts = random.choices(range(size - _WINDOW_BYTES), k=_WINDOWS)
    sample = b"".join([text[start : start + _WINDOW_BYTES] for start in starts]).translate(_NORMALISED, _SIGNS)
    weight = sample.count(b",") * value_weight + sample.count(b"{") * _OBJECT + sample.count(b"e000") * _LARGE_EXPONENT
    return weight * size <= _LIGHT * _WINDOWS * _WINDOW_BYTES


def value_weight(columns: tuple[Column, ...], *, counts_undeclared: bool) -> int:
    """Return the most units that a value of a record of these columns takes."""
    heaviest = max((_heaviest(column) for column in columns), default=1)
    return max(heaviest, _UNDECLARED) if counts_undeclared else heaviest


def _heaviest(column: Column) -> int:
    inner = max((_heaviest(field) for field in column.fields), default=1) if column.kind is Kind.STRUCT else 1
    if column.mode is not Mode.REPEATED:
        return inner
    own = _CLOSED_WEIGHT if column.closed else _ITEM_WEIGHTS.get(column.kind, 1)
    return max(inner, _UUID_WEIGHT if column.is_uuid else own)


def is_deeper(text: bytes, levels: int) -> bool:
    """Return whether brackets are nested more than `levels` deep; the JSON need not be valid."""
    if len(text) <= 2 * levels or _count(text, b"{", levels) + _count(text, b"[", levels) <= levels:
        return False
    brackets = _without_strings(text).translate(_BRACKETS, _NO_BRACKETS)
    return max(accumulate(array("b", brackets)), default=0) > levels


def _without_strings(text: bytes) -> bytes:
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # pairs first, from the left
    return b"".join(text.split(b'"')[::2])


def _count(payload: bytes, byte: bytes, most: int) -> int:
    """Return how often `byte` occurs, up to `most + 1`.

    Brackets are rare, so finding each costs a fifth of `bytes.count`, which examines every byte.
    """
    count, place = 0, payload.find(byte)
    while place >= 0 and count <= most:
        count, place = count + 1, payload.find(byte, place + 1)
    return count
