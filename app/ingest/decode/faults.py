"""Find every error of a record that its type refuses. Pure.

msgspec stops at the first error, so a producer with three wrong fields would need three attempts. Once the fast decoder
has refused a record, it is read again member by member, with a decoder for each declared field. The first error is
always the decoder's own.

Cost is bounded: each value is decoded once for each level above it at most, and a message has a budget of values. A
record that is beyond it, or is large, has its first error only.
"""

import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from app.ingest.decode.payload import SMALL_BYTES
from app.schema.columns import Column
from app.schema.values import ValueCheck, value_check

MAX_FAULTS = 20
"""The most errors that are reported of one record."""
MAX_EXAMINED = 10_000
"""The most values that are examined in the refused records of one message: about 10 ms of processor time."""
_PLACE = re.compile(r" - at `(?P<key>key in )?\$(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]+)`")
# The texts of msgspec that quote no value.
_WITHOUT_VALUES = re.compile(
    r"Expected `|Object (?:contains unknown|missing required) field `|Invalid (?:RFC3339|UUID|base64|decimal)"
    r"|(?:Integer value|Number) out of range"
)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


class FieldFault(NamedTuple):
    """An error of a record: the path of the field, None for the record itself, and what would be right.

    `quote` is the end of `detail` that may quote a value of the record; empty if no part does.
    """

    field: str | None
    detail: str
    quote: str = ""

    def without_values(self) -> "FieldFault":
        """Return the error in words that quote no value."""
        if not self.quote:
            return self
        detail = (
            f"{self.detail.removesuffix(self.quote)}{self.field or 'the record'} is not valid; the text of the error "
            "is withheld, as it may quote personal data"
        )
        return FieldFault(self.field, detail)


Examined = Iterator[int]
"""One item for each value that may still be examined in a message: `iter(range(MAX_EXAMINED))`."""
_Found = Iterator[FieldFault | None]
"""Yields each error, and None for each value that has none, so that the caller can stop."""


class FaultFinder:
    """Finds the errors of records of one type, whose columns are `columns`."""

    def __init__(self, record_type: Any, columns: tuple[Column, ...]) -> None:
        self._record = _Value(record_type, None, columns)

    def all_of(self, first: FieldFault, piece: bytes, examined: Examined) -> tuple[FieldFault, ...]:
        """Return the errors of the record in `piece`, with `first`, which its decoder gave, in front."""
        faults = {first: None}
        if len(piece) <= SMALL_BYTES:
            for fault in self.find(piece):
                if fault is not None:
                    faults[fault] = None
                if len(faults) == MAX_FAULTS or next(examined, None) is None:
                    break
        return tuple(faults)

    def find(self, piece: bytes) -> _Found:
        """Yield the errors of the record in `piece`, in the order of its members; then what it lacks."""
        return self._record.find(piece, "")


def fault_of(error: Exception) -> FieldFault:
    """Return the error that the decoder of a record raised, or the record type's own code."""
    return _below(error, "")


def is_of_type_code(error: Exception) -> bool:
    """Return whether the record type's own code raised `error`: its text may quote anything.

    msgspec wraps a ValueError or a TypeError, which is then the cause. Any other has a frame of that code.
    """
    if error.__cause__ is not None:
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and not trace.tb_frame.f_globals["__name__"].startswith("app.")


def field_path(message: str) -> str | None:
    """Return the dotted path that an error message of msgspec names, such as `legs[1].origin`."""
    at, named = _PLACE.search(message), _NAMED.search(message)
    parts = [part for part in (at and at["path"].removeprefix("."), named and named["name"]) if part]
    return ".".join(parts) or None


def _below(error: Exception, path: str) -> FieldFault:
    """Return the error of the value at `path` (`.a[1]`), as the decoder of the whole record would put it."""
    is_own = is_of_type_code(error)
    if isinstance(error, msgspec.ValidationError):
        message, own = str(error), str(error.__cause__ or error) if is_own else ""
        place = _PLACE.search(message, len(own))
        key, inner = (place["key"] or "", place["path"]) if place else ("", "")
        where = f" - at `{key}${path}{inner}`" if path or place else ""
        words = message[: place.start()] if place else message
        detail = words + where
        quotes = is_own or not _WITHOUT_VALUES.match(words)
        return FieldFault(field_path(where if is_own else detail), detail, detail if quotes else "")
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError | RecursionError) and not is_own:
        return FieldFault(path.removeprefix(".") or None, f"not valid JSON: {error}")
    detail = f"the record type raised {type(error).__name__}: {error}"
    return FieldFault(None, detail, detail)


class _Value:
    """Finds the errors of a value of type `hint`: those of a Struct's members or of a list's items, else its own.

    It is stored in `column`, which has a column for each member of a Struct; None: it is dropped, and decoded only.
    """

    def __init__(self, hint: Any, column: Column | None, members: tuple[Column, ...] = ()) -> None:
        self._decoder = msgspec.json.Decoder(hint)
        self._check: ValueCheck | None = None
        self._item: _Value | None = None
        self._members: dict[str, _Value] = {}
        self._required, self._forbids = list[str](), False
        bare = _without_metadata(hint)
        if get_origin(bare) in {Union, UnionType}:
            bare = _without_metadata(next(each for each in get_args(bare) if each is not NoneType))
        declared = get_origin(bare) or bare
        if isinstance(declared, type) and issubclass(declared, msgspec.Struct) and (column or members):
            by_name = {each.name: each for each in (column.fields if column else members)}
            fields = msgspec.structs.fields(bare)
            self._members = {each.encode_name: _Value(each.type, by_name.get(each.encode_name)) for each in fields}
            self._required = [each.encode_name for each in fields if each.required]
            self._forbids = declared.__struct_config__.forbid_unknown_fields
        elif column is not None and declared is list:
            self._item = _Value(get_args(bare)[0], column)
        elif column is not None:
            self._check = value_check(column)

    def find(self, raw: bytes, path: str) -> _Found:
        """Yield the errors inside the value, in order; its own if there are none, such as a list's length."""
        has_fault = False
        for fault in self._inside(raw, path):
            has_fault = has_fault or fault is not None
            yield fault
        if not has_fault:
            yield self._own(raw, path)

    def _inside(self, raw: bytes, path: str) -> _Found:
        try:
            items = _items.decode(raw) if self._item is not None else ()
            members = _members.decode(raw) if self._members else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # it is no list or object at all, which its own error says
        for index, item in enumerate(items):
            if self._item is not None:
                yield from self._item.find(bytes(item), f"{path}[{index}]")
        if members is None:
            return
        for name, value in members.items():
            member = self._members.get(name)
            if member is not None:
                yield from member.find(bytes(value), f"{path}.{name}")
            elif self._forbids:
                yield _below(msgspec.ValidationError(f"Object contains unknown field `{name}`"), path)
        for name in self._required:
            if name not in members:
                yield _below(msgspec.ValidationError(f"Object missing required field `{name}`"), path)

    def _own(self, raw: bytes, path: str) -> FieldFault | None:
        try:
            value = self._decoder.decode(raw)
        except Exception as error:
            return _below(error, path)
        reason = self._check(value) if self._check is not None and value is not None else None
        name = path.removeprefix(".")
        return None if reason is None else FieldFault(name, f"{name} {reason}")


def _without_metadata(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint
