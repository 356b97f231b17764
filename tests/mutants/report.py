"""Read mutmut's results, and judge each module by them."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from tests.mutants.plan import FLOOR_PERCENT, Equivalent

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

    @property
    def function(self) -> str:
        """The mutated function, after its class if it has one."""
        mangled = self.name.rpartition(".")[2].partition("__mutmut_")[0]
        return ".".join(mangled.split("ǁ")[1:]) if "ǁ" in mangled else mangled.removeprefix("x_")

    def matches(self, equivalent: Equivalent) -> bool:
        """Whether `equivalent` describes this mutant exactly."""
        return equivalent[:3] == (self.function, self._lines("-"), self._lines("+"))

    def _lines(self, sign: str) -> str:
        changed = (line for line in self.diff.splitlines() if line.startswith(sign) and line[:3] != sign * 3)
        return "\n".join(line[1:].strip() for line in changed)


class Verdict(msgspec.Struct, frozen=True):
    """The mutants of one module, those that no test can kill apart."""

    module: str
    killed: int
    timed_out: int
    survivors: Sequence[Mutant]
    equivalent: int
    stale: Sequence[Equivalent]
    """Listed as equivalent, though no such mutant survived."""
    seconds: float = 0.0
    """How long it took, the run of the tests without a mutant included."""

    @property
    def percent(self) -> float:
        """The share of the mutants that tests noticed, without the equivalent ones."""
        judged = self.killed + self.timed_out + len(self.survivors)
        return 100.0 * (self.killed + self.timed_out) / judged if judged else 0.0

    @property
    def passes(self) -> bool:
        """Whether the floor is reached and the list of equivalent mutants is true."""
        return self.percent >= FLOOR_PERCENT and not self.stale


def statuses(results: str) -> list[Mutant]:
    """Return the mutants in the output of `mutmut results --all true`, without their diffs."""
    pairs = (line.strip().rpartition(": ") for line in results.splitlines() if "__mutmut_" in line)
    return [Mutant(name, status) for name, _, status in pairs]


def diffs(shown: str) -> dict[str, str]:
    """Return the diffs in the output of `mutmut show` by the mutant's name; it may be that of many calls."""
    _, *parts = re.split(r"^# (\S+__mutmut_\d+): .*\n", shown, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def judge(module: str, mutants: Iterable[Mutant], equivalent: Sequence[Equivalent]) -> Verdict:
    """Return the verdict on a module."""
    everything = list(mutants)
    unnoticed = [mutant for mutant in everything if mutant.survived]
    survivors = [mutant for mutant in unnoticed if not any(map(mutant.matches, equivalent))]
    return Verdict(
        module,
        killed=sum(mutant.status == _KILLED for mutant in everything),
        timed_out=sum(mutant.status == _TIMED_OUT for mutant in everything),
        survivors=survivors,
        equivalent=len(unnoticed) - len(survivors),
        stale=[each for each in equivalent if not any(mutant.matches(each) for mutant in unnoticed)],
    )


def table(verdicts: Iterable[Verdict]) -> str:
    """Return the verdicts as a table for a terminal."""
    titles = ("module", "mutants", "killed", "timed out", "survived", "equivalent", "percent", "seconds")
    rows: list[tuple[str, ...]] = [titles]
    for each in verdicts:
        counts = (each.killed, each.timed_out, len(each.survivors), each.equivalent)
        rows.append((each.module, *map(str, (sum(counts), *counts)), f"{each.percent:.1f}", f"{each.seconds:.0f}"))
    return "\n".join(f"{row[0]:<14}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows)


def details(verdict: Verdict) -> str:
    """Return the survivors as diffs, and the entries of the list of equivalent mutants that are not true."""
    lines = [f"{verdict.module}: {mutant.status}: {mutant.name}\n{mutant.diff}" for mutant in verdict.survivors]
    lines += [
        f"{verdict.module}: listed as equivalent in tests/mutants/plan.py, but no such mutant survived: {each[:3]}"
        for each in verdict.stale
    ]
    return "\n".join(lines)
