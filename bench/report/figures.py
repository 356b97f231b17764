"""How numbers are written in the tables and plots, and how tables are."""

import math
from collections.abc import Iterable, Sequence

from bench.report.results import Ingest, Machine


def figure(value: float) -> str:
    """Write a number with three digits that count, but none below a thousandth: 0.012, 4.56, 78.9, 12,345."""
    if not value:
        return "0"
    after_the_point = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(after_the_point, 0), 3)}f}"


def share(value: float) -> str:
    """Write a part as a percentage."""
    return f"{value * 100:.0f} %"


def listed(names: Sequence[str]) -> str:
    """Write names as a sentence has them: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, of_words: bool = False) -> list[str]:
    """Return the lines of a table; every column but the first is of numbers, unless it is `of_words`."""
    names = list(head)
    marks = ["---", *("---" if of_words else "---:" for _ in names[1:])]
    return [_row(names), _row(marks), *map(_row, rows)]


def machine_text(machine: Machine) -> str:
    """Say what a result was measured on."""
    return f"{machine['cpus']} processors ({machine['machine']}), Python {machine['python']}"


def load_text(machine: Machine) -> str:
    """Say how busy the machine was before, in processors: the averages of one minute and of five."""
    return ", ".join(f"{load:.2f}" for load in machine.get("load_average", [])) or "not noted"


def rounds_text(ingest: Ingest) -> str:
    """Say how often and how long each contender was loaded."""
    return f"medians of {ingest.rounds} rounds of {ingest.seconds:g} s"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
