"""The outcome of a check: a closed union, one line each."""

from typing import assert_never

import msgspec


class Held(msgspec.Struct, frozen=True):
    """What the check found in order."""

    said: str


class Failed(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it."""

    said: str
    cure: str


class NotChecked(msgspec.Struct, frozen=True):
    """Why the check could not tell."""

    why: str


Finding = Held | Failed | NotChecked


def line(name: str, finding: Finding) -> str:
    """Return a check's line of the report."""
    match finding:
        case Held():
            return f"held         {name}: {finding.said}"
        case Failed():
            return f"failed       {name}: {finding.said}. Cure: {finding.cure}"
        case NotChecked():
            return f"not checked  {name}: {finding.why}"
        case _:
            assert_never(finding)
