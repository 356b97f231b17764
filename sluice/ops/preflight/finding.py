"""The outcome of a check: a closed union, one line each."""

from typing import assert_never

import msgspec


class Held(msgspec.Struct, frozen=True):
    """What the check found to be as it must be."""

    said: str


class Failed(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it."""

    said: str
    cure: str


class NotLooked(msgspec.Struct, frozen=True):
    """Why the check could not tell."""

    why: str


Finding = Held | Failed | NotLooked


def word(finding: Finding) -> str:
    """Return the first word of a finding's line."""
    match finding:
        case Held():
            return "held"
        case Failed():
            return "failed"
        case NotLooked():
            return "not looked at"
        case _:
            assert_never(finding)


def text(finding: Finding) -> str:
    """Return the rest of a finding's line."""
    match finding:
        case Held():
            return finding.said
        case Failed():
            return f"{finding.said}. Cure: {finding.cure}"
        case NotLooked():
            return finding.why
        case _:
            assert_never(finding)
