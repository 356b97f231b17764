"""The undeclared members that this process has seen: their paths and counts, bounded in number and length.

Their names are content of records. So they are in no log line and no metric, and only callers who may read every record
see them.
"""

from typing import Literal

import msgspec

MAX_NAMES, MAX_LENGTH = 200, 200

Outcome = Literal["kept", "dropped", "rejected"]


class SeenMember(msgspec.Struct, frozen=True):
    """An undeclared member, what became of it, and in how many places it was seen.

    The path has `[]` for every item of a list, and double quotes around a name of unusual characters. A long one ends
    in `…`.
    """

    path: str
    outcome: Outcome
    count: int


class SeenMembers:
    """Counts undeclared members of one stream by path and outcome: the first MAX_NAMES of them, and all others as one.

    `others` is the number of members beyond those. `changes` grows with every member.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Outcome], int] = {}
        self.others = self.changes = 0

    def note(self, path: str, outcome: Outcome) -> None:
        """Count a member at `path`."""
        self.changes += 1
        key = (path if len(path) <= MAX_LENGTH else path[: MAX_LENGTH - 1] + "…", outcome)
        if key in self._counts or len(self._counts) < MAX_NAMES:
            self._counts[key] = self._counts.get(key, 0) + 1
        else:
            self.others += 1

    @property
    def members(self) -> list[SeenMember]:
        """The members, the most frequent first."""
        members = [SeenMember(path, outcome, count) for (path, outcome), count in self._counts.items()]
        return sorted(members, key=lambda each: (-each.count, each.path, each.outcome))
