"""Read mutmut's results, and judge each module by them."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from tests.mutants.plan import FLOOR_PERCENT

_KILLED, _TIMED_OUT = "killed", "timeout"


class Mutant(msgspec.Struct, frozen=True):
    """One mutant: mutmut's name and status of it, and its diff if it survived."""

    name: str
    status: str
    diff: str = ""

    @property
    def survived(self) -> bool:
        """Whether no test noticed; this includes a mutant that no test runs or that ended in an unknown way."""
        return self.status not in {_KILLED, _TIMED_OUT}


class Verdict(msgspec.Struct, frozen=True):
    """What became of the mutants of one module."""

    module: str
    killed: int
    timed_out: int
    survivors: Sequence[Mutant]
    seconds: float = 0.0
    """How long it took, the run of the tests without a mutant included."""

    @property
    def percent(self) -> float:
        """The share of the mutants that tests noticed."""
        judged = self.killed + self.timed_out + len(self.survivors)
        return 100.0 * (self.killed + self.timed_out) / judged if judged else 0.0

    @property
    def passes(self) -> bool:
        """Whether the floor is reached."""
        return self.percent >= FLOOR_PERCENT


def statuses(results: str) -> list[Mutant]:
    """Return the mutants in the output of `mutmut results --all true`, without their diffs."""
    pairs = (line.strip().rpartition(": ") for line in results.splitlines() if "__mutmut_" in line)
    return [Mutant(name, status) for name, _, status in pairs]


def diffs(shown: str) -> dict[str, str]:
    """Return the diffs in the output of `mutmut show` by the mutant's name; it may be that of many calls."""
    _, *parts = re.split(r"^# (\S+__mutmut_\d+): .*\n", shown, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def judge(module: str, mutants: Iterable[Mutant]) -> Verdict:
    """Return the verdict on a module."""
    everything = list(mutants)
    return Verdict(
        module,
        killed=sum(mutant.status == _KILLED for mutant in everything),
        timed_out=sum(mutant.status == _TIMED_OUT for mutant in everything),
        survivors=[mutant for mutant in everything if mutant.survived],
    )


def table(verdicts: Iterable[Verdict]) -> str:
    """Return the verdicts as a table for a terminal."""
    titles = ("module", "mutants", "killed", "timed out", "survived", "percent", "seconds")
    rows: list[tuple[str, ...]] = [titles]
    for each in verdicts:
        counts = (each.killed, each.timed_out, len(each.survivors))
        rows.append((each.module, *map(str, (sum(counts), *counts)), f"{each.percent:.1f}", f"{each.seconds:.0f}"))
    return "\n".join(f"{row[0]:<14}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows)


def details(verdict: Verdict) -> str:
    """Return the survivors as diffs."""
    return "\n".join(f"{verdict.module}: {each.status}: {each.name}\n{each.diff}" for each in verdict.survivors)
