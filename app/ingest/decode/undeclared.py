"""Count the undeclared members of one message: kept, dropped, or the reason why a record was rejected. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from app.ingest.decode.rejects import Reject
from app.schema.undeclared_members import MAX_LENGTH, MAX_NAMES, Outcome, Undeclared, member_path

UndeclaredCounts = Counter[tuple[str, Outcome]]
"""How often a member was seen, by its path and what became of it. The path of those beyond MAX_NAMES is empty."""
# msgspec names the member, and the object that has it.
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<parent>[^`]*)`)?")
_POSITION = re.compile(r"\[\d+\]")


def count_stored(counts: UndeclaredCounts, members: Iterable[Undeclared]) -> None:
    """Count the members of a record that is stored."""
    for member in members:
        _count(counts, member.path, "kept" if member.is_kept else "dropped")


def count_rejected(counts: UndeclaredCounts, rejected: Reject) -> None:
    """Count the members for which a record was rejected."""
    if rejected.reason == "invalid":
        for detail in [fault.detail for fault in rejected.faults] or [rejected.detail]:
            for path in unknown_members(detail):
                _count(counts, path, "rejected")


def unknown_members(detail: str) -> Iterator[str]:
    """Yield the paths, without positions, of the undeclared members that an error message of msgspec names."""
    for member in _UNKNOWN.finditer(detail):
        yield member_path(_POSITION.sub("[]", member["parent"] or ""), member["name"])


def _count(counts: UndeclaredCounts, path: str, outcome: Outcome) -> None:
    key = (path[: MAX_LENGTH + 1], outcome)
    counts[key if key in counts or len(counts) < MAX_NAMES else ("", outcome)] += 1
