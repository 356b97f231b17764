"""Estimate what JSON costs to decode, before decoding it. Pure.

Size says little about that cost. 4 MiB of text decode in a millisecond, 4 MiB of `[],` take a hundred times as long,
and 4 MiB of `1e308,` six thousand times. So a payload is weighed first, with a few counts at the speed of C. One unit
is roughly one value: 50 to 100 ns to decode, check and encode, and at most 80 bytes of memory while decoded
(bench/ingest/heavy_messages.py). Everything here is linear in the length of its input.
"""

from array import array
from collections.abc import Generator
from itertools import accumulate
from typing import Any, TypeVar

from app.schema.columns import Column, Kind, Mode

Result = TypeVar("Result")
Steps = Generator[int, None, Result]
"""Work in steps of at most a few tens of milliseconds. Each yields how many more bytes of memory the work now holds."""

SMALL_BYTES = 128 * 1024
"""A payload this small fits into one step, whatever it contains, and need not be weighed."""
_CHUNK_BYTES = 256 * 1024

# Digits become 0 and signs disappear, so that `e-308` reads `e000`; commas, colons and opening brackets become commas.
_NORMALISED = bytes.maketrans(b"0123456789E[{:", b"0000000000e,,,")
_SIGNS = b"+-"
# msgspec parses numbers close to the largest or the smallest double in 5 to 10 µs, ties such as 1e23 in 0.4 µs, and
# long integers in quadratic time.
_EXPONENT, _EXPONENT_WEIGHT = b"e0", 2
_LARGE_EXPONENT, _LARGE_EXPONENT_WEIGHT = b"e000", 120
_DIGITS, _DIGITS_WEIGHT = b"0" * 20, 20

_BRACKETS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")

# Items of typed lists that Python code checks or converts one by one, relative to a plain JSON value.
_ITEM_WEIGHTS = {Kind.NUMERIC: 25, Kind.STRUCT: 16, Kind.TIMESTAMP: 10, Kind.TIME: 10, Kind.DATE: 3, Kind.INT64: 3}
_CLOSED_WEIGHT, _UUID_WEIGHT = 6, 16


def weight(text: bytes | bytearray, most: int) -> Steps[int]:
    """Return the weight of JSON, or any number above `most` once the weight is known to exceed it.

    Strings are first weighed as if their contents were JSON, which is cheap. They are removed only if that gives more
    than `most`.
    """
    total = 0
    for start in range(0, len(text), _CHUNK_BYTES):
        total += _weight(text[start : start + _CHUNK_BYTES])
        yield 0
        if total > most:
            return (yield from _weight_outside_strings(text, most))
    return total


def _weight_outside_strings(text: bytes | bytearray, most: int) -> Steps[int]:
    strings, total = _Strings(), 0
    for start in range(0, len(text), _CHUNK_BYTES):
        total += _weight(strings.removed_from(text[start : start + _CHUNK_BYTES]))
        yield 0
        # In valid JSON a comma, a colon or a bracket precedes every string but a lone one. A text with more strings
        # than that is invalid, and not worth splitting.
        total = max(total, strings.quotes // 2 - 1)
        if total > most:
            break
    return total


def _weight(chunk: bytes | bytearray) -> int:
    normalised = chunk.translate(_NORMALISED, _SIGNS)
    values, exponents = normalised.count(b","), normalised.count(_EXPONENT)
    large = normalised.count(_LARGE_EXPONENT) if exponents else 0
    digits = normalised.count(_DIGITS)
    return values + exponents * _EXPONENT_WEIGHT + large * _LARGE_EXPONENT_WEIGHT + digits * _DIGITS_WEIGHT


class _Strings:
    """Removes the strings from consecutive chunks of one JSON text.

    After a syntax error, inside and outside of strings may be swapped; a decoder stops at the error anyway.
    """

    def __init__(self) -> None:
        self.quotes = 0
        self._is_inside, self._odd_backslash = False, b""

    def removed_from(self, chunk: bytes | bytearray) -> bytes:
        """Return `chunk` with each string replaced by one quote."""
        chunk = self._odd_backslash + chunk
        self._odd_backslash = b""
        if b"\\" in chunk:
            chunk = chunk.replace(
                b"\\\\", b""
            )  # pairs, from the left: a remaining backslash escapes the next character
            if chunk.endswith(b"\\"):
                self._odd_backslash, chunk = b"\\", chunk[:-1]
            chunk = chunk.replace(b'\\"', b"")
        parts = chunk.split(b'"')
        outside = b'"'.join(parts[self._is_inside :: 2])
        self.quotes += len(parts) - 1
        self._is_inside ^= len(parts) % 2 == 0
        return outside


def is_deeper(text: bytes, levels: int) -> bool:
    """Return whether brackets are nested more than `levels` deep; the JSON need not be valid."""
    if len(text) <= 2 * levels or _count(text, b"{", levels) + _count(text, b"[", levels) <= levels:
        return False
    brackets = _Strings().removed_from(text).translate(_BRACKETS, _NO_BRACKETS)
    return max(accumulate(array("b", brackets)), default=0) > levels


def _count(payload: bytes, byte: bytes, most: int) -> int:
    """Return how often `byte` occurs, up to `most + 1`.

    Brackets are rare, so finding each costs a fifth of `bytes.count`, which examines every byte.
    """
    count, place = 0, payload.find(byte)
    while place >= 0 and count <= most:
        count, place = count + 1, payload.find(byte, place + 1)
    return count


def list_weight(columns: tuple[Column, ...], record: Any) -> int:
    """Return the extra weight of the items in a record's typed lists beyond their JSON, without examining any."""
    total = 0
    for column in columns:
        value = getattr(record, column.attribute)
        if value is None:
            continue
        repeated = column.mode is Mode.REPEATED
        if repeated:
            total += len(value) * _item_weight(column)
        if column.kind is Kind.STRUCT and has_typed_lists(column.fields):
            total += sum(list_weight(column.fields, item) for item in (value if repeated else (value,)))
    return total


def has_typed_lists(columns: tuple[Column, ...]) -> bool:
    """Return whether `list_weight` can be more than 0."""
    return any(
        (column.mode is Mode.REPEATED and _item_weight(column) > 0)
        or (column.kind is Kind.STRUCT and has_typed_lists(column.fields))
        for column in columns
    )


def _item_weight(column: Column) -> int:
    if column.is_uuid:
        return _UUID_WEIGHT
    return _CLOSED_WEIGHT if column.closed else _ITEM_WEIGHTS.get(column.kind, 0)
