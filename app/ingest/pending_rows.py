"""The rows of a batch one by one, for when the store did not accept all of them. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from app.ingest.pending import Pending, Refused
from app.stores.sink import RowError

PendingRow = tuple[Pending, int]
"""One row: the part of a message that holds it, and its position there."""


def slots_of(batch: Iterable[Pending]) -> list[PendingRow]:
    """Return every row of `batch`."""
    return [(pending, index) for pending in batch for index in range(pending.row_count)]


def messages_of(slots: Iterable[PendingRow]) -> list[Pending]:
    """Return the parts that these rows belong to, each once, in order."""
    return list(dict.fromkeys(pending for pending, _ in slots))


def rows_of(slots: Iterable[PendingRow]) -> list[bytes]:
    """Return the rows themselves."""
    return [pending.rows[index] for pending, index in slots]


def halves(slots: Sequence[PendingRow]) -> tuple[Sequence[PendingRow], Sequence[PendingRow]]:
    """Halve `slots`, between two messages if there are several. The larger half comes first."""
    middle = len(slots) // 2
    between = [index for index in range(1, len(slots)) if slots[index - 1][0] is not slots[index][0]]
    cut = min(between, key=lambda index: abs(index - middle), default=middle)
    larger, smaller = sorted((slots[cut:], slots[:cut]), key=len, reverse=True)
    return larger, smaller


def refused_of(slots: Sequence[PendingRow], errors: Mapping[int, RowError]) -> dict[Pending, list[Refused]]:
    """Return the refused rows by message; `errors` are by position in `slots`."""
    found: dict[Pending, list[Refused]] = {}
    for position, error in errors.items():
        pending, index = slots[position]
        found.setdefault(pending, []).append(Refused(pending.first + index, error))
    return found
