"""What streams cost on the way in: ten busy ones on one core, against a deployment with a single type.

    python -m bench.ingest.streams            make bench-streams (five minutes)

The same load goes to both services in turn, spread evenly over the ten streams' paths: one record a message, then a
hundred, then one over a store that takes 100 ms. Each is as much as the service takes with so many messages in flight.
Finally both get the same number of messages a second, more than half of what one stream takes. A ratio is the median of
the pairs of rounds: of the rates, which should be 0.9, and of what a full core would do, which is less noisy. How fast
a process is differs from start to start, so the services are started several times. Writes bench/results/streams.json.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.ingest.cells import Cell, ratio
from bench.ingest.compare import FIRST, MANY
from bench.ingest.contenders import SLUICE, TEN_STREAMS
from bench.ingest.messages import Case
from bench.ingest.rounds import compare
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "streams.json"
_CASES = (FIRST, MANY, msgspec.structs.replace(FIRST, ack_ms=100.0))
_STARTS = 4
_AT_ONE_RATE = 0.6


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return the cells of both, and for each case the ratios of their rates and of their rates on a full core."""
    cells = await _started_often(_CASES, rounds, seconds)
    ratios = {
        f"{TEN_STREAMS} / {SLUICE}, {case.name}{words}": ratio(
            cells, (TEN_STREAMS, case), (SLUICE, case), per_core=per_core
        )
        for case in _CASES
        for per_core, words in ((False, ""), (True, ", on a full core"))
    }
    alone = next(cell for cell in cells if (cell.contender, cell.case) == (SLUICE, FIRST))
    rate = _AT_ONE_RATE * alone.median.messages_per_s
    paced = await _started_often([FIRST], rounds, seconds, rate)
    ratios[f"{TEN_STREAMS} / {SLUICE}, at {rate:,.0f} messages a second, on a full core"] = ratio(
        paced, (TEN_STREAMS, FIRST), (SLUICE, FIRST), per_core=True
    )
    return {"cells": [cell.told() for cell in cells], "paced": [cell.told() for cell in paced], "ratios": ratios}


async def _started_often(
    cases: Sequence[Case], rounds: int, seconds: float, rate: float | None = None
) -> Sequence[Cell]:
    """Return the cells of `rounds` rounds of each service and case, over processes that are started _STARTS times."""
    found: dict[tuple[str, Case], Cell] = {}
    for _ in range(_STARTS):
        for cell in await compare(
            [SLUICE, TEN_STREAMS], cases, rounds=-(-rounds // _STARTS), seconds=seconds, rate=rate
        ):
            found.setdefault((cell.contender, cell.case), Cell(cell.contender, cell.case)).rounds.extend(cell.rounds)
    return list(found.values())


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest.streams", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=16, help="of each service and load (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    found = asyncio.run(measure(options.rounds, options.seconds))
    told = {"machine": before, "rounds": options.rounds, "seconds": options.seconds}
    RESULT.write_text(json.dumps(told | found, indent=2) + "\n")
    for cell in [*found["cells"], *found["paced"]]:
        median = cell["median"]
        print(
            f"{cell['contender']:24} {median['messages_per_s']:>9,.0f} messages/s, "
            f"{median['cpu_us_per_message']:.0f} us each, p50 {median['p50_ms']:.0f} ms"
        )
    for name, value in found["ratios"].items():
        print(f"{name}: {value['median']}")


if __name__ == "__main__":
    main()
