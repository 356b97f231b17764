"""The delivery keys of backfilled records, and which of them the store holds already. Pure.

A record's key names the backfill, its object, its number there, and a check of its bytes. So a second run knows the
stored records without a file of its own, and notices an object that was changed in between.
"""

import enum
import hashlib
import re
import zlib
from array import array
from collections import defaultdict

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MARKS = 65_535
_KEY = re.compile(
    r"backfill/[A-Za-z0-9._-]+/(?P<object>[0-9a-f]{16})/(?P<row>[0-9]{1,11})/(?P<mark>[0-9a-f]{4}):0(?:#(?P<part>[0-9]+))?"
)


class State(enum.Enum):
    """What the store holds of a record."""

    NEW = "new"
    STORED = "stored"
    REJECTED = "rejected"
    CHANGED = "changed"
    """Another record was stored from this place of the object."""


def prefix_of(name: str) -> str:
    """Return the beginning of the delivery keys of all records of a backfill."""
    return f"backfill/{name}/"


def object_digest(path: str) -> str:
    """Return 16 hexadecimal digits that identify an object by its path below the source."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def mark_of(data: bytes) -> int:
    """Return the check of a record's bytes, 1 to 65,535."""
    return 1 + zlib.crc32(data) % _MARKS


def message_key(name: str, digest: str, row: int, mark: int) -> str:
    """Return the key of the message that carries one record; the record's delivery key adds its index, 0."""
    return f"{prefix_of(name)}{digest}/{row}/{mark:04x}"


class _Marks:
    """The mark of each row of one object, in two bytes a row; 0 for none."""

    def __init__(self) -> None:
        self._marks = array("H")

    def put(self, row: int, mark: int) -> None:
        if row >= len(self._marks):
            self._marks.frombytes(bytes(2 * (row + 1 - len(self._marks))))
        self._marks[row] = mark

    def get(self, row: int) -> int:
        return self._marks[row] if row < len(self._marks) else 0


class Ledger:
    """The records of one backfill that are stored, and those that are rejected."""

    def __init__(self) -> None:
        self._stored: defaultdict[str, _Marks] = defaultdict(_Marks)
        self._rejected: defaultdict[str, _Marks] = defaultdict(_Marks)
        self._parts: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        """The parts of rejects that take several rows, without the first ones."""

    def note(self, delivery_key: str, *, is_reject: bool) -> None:
        """Note a row of the table, or of the rejects without its stream's prefix; ignore keys of any other form."""
        parts = _KEY.fullmatch(delivery_key)
        if parts is None:
            return
        digest, row = parts["object"], int(parts["row"])
        if parts["part"]:
            self._parts[digest, row].add(int(parts["part"]))
        else:
            (self._rejected if is_reject else self._stored)[digest].put(row, int(parts["mark"], 16))

    def state(self, digest: str, row: int, mark: int, *, parts: int = 1) -> State:
        """Return what the store holds of a record, which takes `parts` rows as a reject."""
        stored = self._stored[digest].get(row)
        if stored:
            return State.STORED if stored == mark else State.CHANGED
        if self._rejected[digest].get(row) != mark or len(self._parts.get((digest, row), ())) < parts - 1:
            return State.NEW
        return State.REJECTED
