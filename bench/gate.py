"""A gate against getting slower, by ratios measured in one run: no time of one machine is compared with another's.

    python -m bench.gate             make bench-gate: half a minute, in every CI run; the margins are wider than noise
    python -m bench.gate --strict    the nightly one: longer, and held to what the project promises

The load goes in turn to the service and to what bounds it (bench/ingest/ceilings.py). A ratio of processor times is
steadier than one of rates, as whoever else has the machine takes time and not work; both are looked at. Ends with
status 1 where a bound is broken, having said which.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence

import msgspec

from bench.ingest.cells import Cell, Round
from bench.ingest.compare import FIRST, MANY
from bench.ingest.contenders import SLUICE
from bench.ingest.messages import Case
from bench.ingest.rounds import compare

WAITING, ROUTE = "waiting", "litestar route"


class Bound(msgspec.Struct, frozen=True):
    """What a ratio may be at least or at most: always, and where the long version is held to the promise."""

    name: str
    loose: float
    strict: float
    at_most: bool = False

    def holds(self, value: float, *, strict: bool) -> bool:
        """Return whether `value` keeps within it."""
        bound = self.strict if strict else self.loose
        return value <= bound if self.at_most else value >= bound

    def told(self, value: float, *, strict: bool) -> str:
        """Return a line that says so."""
        bound, word = (self.strict if strict else self.loose), "at most" if self.at_most else "at least"
        verdict = "holds" if self.holds(value, strict=strict) else "BROKEN"
        return f"{verdict:6}  {self.name}: {value:.2f}, {word} {bound:g}"


# Loose: what no noise has been seen to reach, on the way from what is measured (bench/README.md) back to what it was
# before the way in was made faster: 0.52, 0.58, 4.4 and 4.6. Strict: the promise, or what noise leaves of it.
RATE_OF_WAITING = Bound("messages a second, of the waiting ceiling's", 0.5, 0.75)
RATE_OF_ROUTE = Bound("messages a second, of a Litestar route's that only answers", 0.6, 0.85)
COST_OF_WAITING = Bound("processor time of a message, of the waiting ceiling's", 3.3, 2.8, at_most=True)
ROWS_OF_MANY = Bound("rows a second with 100 records a message, of those with one", 3.5, 5.0)


def findings(cells: Sequence[Cell]) -> dict[Bound, float]:
    """Return the value of each bound: the median of the rounds' ratios."""
    rounds = {(cell.contender, cell.case): cell.rounds for cell in cells}
    ours = rounds[SLUICE, FIRST]
    return {
        RATE_OF_WAITING: _ratio(ours, rounds[WAITING, FIRST], "messages_per_s"),
        RATE_OF_ROUTE: _ratio(ours, rounds[ROUTE, FIRST], "messages_per_s"),
        COST_OF_WAITING: _ratio(ours, rounds[WAITING, FIRST], "cpu_us_per_message"),
        ROWS_OF_MANY: _ratio(rounds[SLUICE, MANY], ours, "records_per_s"),
    }


def _ratio(one: Sequence[Round], other: Sequence[Round], figure: str) -> float:
    pairs = zip(one, other, strict=True)
    return float(statistics.median(getattr(mine, figure) / getattr(theirs, figure) for mine, theirs in pairs))


def main() -> None:
    """Measure, and say which bounds hold."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strict", action="store_true", help="measure longer, and hold it to the promise")
    strict: bool = parser.parse_args().strict
    cases: list[Case] = [FIRST, MANY]
    cells = asyncio.run(compare([WAITING, ROUTE, SLUICE], cases, rounds=20 if strict else 4, seconds=1.0))
    found = findings(cells)
    for bound, value in found.items():
        print(bound.told(value, strict=strict))
    if not all(bound.holds(value, strict=strict) for bound, value in found.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
