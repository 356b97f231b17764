"""What rounds of load have found: figures, and how many times as many one contender takes as another."""

import statistics
from collections.abc import Sequence

import msgspec

from bench.ingest.messages import Case


class Round(msgspec.Struct, frozen=True):
    """What one contender did in one round, or the medians of several.

    `cores` is how much of its core it used, `load_cores` how much of the other the load did.
    """

    messages_per_s: float
    records_per_s: float
    cpu_us_per_message: float
    cores: float
    load_cores: float
    p50_ms: float
    p99_ms: float


class Cell(msgspec.Struct):
    """A contender under one load: its rounds."""

    contender: str
    case: Case
    rounds: list[Round] = []

    @property
    def median(self) -> Round:
        """The median of each figure."""
        return Round(
            *(
                round(statistics.median(getattr(one, name) for one in self.rounds), 3)
                for name in Round.__struct_fields__
            )
        )

    def summary(self) -> dict[str, object]:
        """Return it as the results have it."""
        return {
            "contender": self.contender,
            "case": msgspec.to_builtins(self.case),
            "rounds": msgspec.to_builtins(self.rounds),
            "median": msgspec.to_builtins(self.median),
        }


def ratio(cells: Sequence[Cell], one: tuple[str, Case], other: tuple[str, Case]) -> dict[str, object]:
    """Return how many times as many records a second `one` takes as `other`: each round's, and their median."""
    first, second = (next(cell for cell in cells if (cell.contender, cell.case) == wanted) for wanted in (one, other))
    ratios = [
        mine.records_per_s / theirs.records_per_s for mine, theirs in zip(first.rounds, second.rounds, strict=False)
    ]
    return {"rounds": [round(each, 3) for each in ratios], "median": round(statistics.median(ratios), 3)}
